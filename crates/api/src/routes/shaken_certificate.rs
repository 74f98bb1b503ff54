//! Certificates that calls are signed with (STIR/SHAKEN), and where anybody may read them.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use http::header;
use opentact_events::view;
use opentact_stir::{Chain, SigningKey, TnAuthList, TnEntry};
use opentact_store::Tn;
use opentact_store::shaken_certificates::{NewShakenCertificate, ShakenCertificate};
use opentact_store::types::AccountLevel;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Caller;
use crate::conditional::{IfMatch, IfNoneMatch};
use crate::envelope::{Envelope, Reply, Tagged, created, ok};
use crate::error::{AppError, Fields};
use crate::extract::{Body, Id};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types;

/// Verifiers may keep a certificate for so long: it does not change, and one that is deleted is to be forgotten some time.
const CACHE: &str = "public, max-age=3600";
/// Of a certificate of the test authority, where nothing is said.
const DAYS: u16 = 365;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, modify, remove)).routes(routes!(published))
}

/// Either `certificate` and `key`, or `spc` or `numbers` for one of the test authority.
#[derive(Debug, Deserialize, ToSchema)]
struct NewCertificate {
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    /// Calls are signed with the newest active one. Default true.
    is_active: Option<bool>,
    /// Sign for accounts that have none of their own; for service accounts only.
    shared: Option<bool>,
    /// PEM: the signing certificate, then those above it.
    #[schema(min_length = 1, max_length = 65536)]
    certificate: Option<String>,
    /// PEM: private key of the certificate, P-256.
    #[schema(min_length = 1, max_length = 4096)]
    key: Option<String>,
    /// Service provider code that the test authority certifies.
    #[schema(min_length = 1, max_length = 32)]
    spc: Option<String>,
    /// Numbers that the test authority certifies.
    #[serde(default)]
    #[schema(schema_with = numbers)]
    numbers: Vec<Tn>,
    /// How long the certificate of the test authority is valid; default 365.
    #[schema(minimum = 1, maximum = 3650)]
    days: Option<u16>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct CertificateChange {
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    is_active: Option<bool>,
    shared: Option<bool>,
}

fn numbers() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::ArrayBuilder::new().items(types::tn()).max_items(Some(100)).build()
}

/// What was certified, and the key that goes with it.
struct Certified {
    chain: Chain,
    pem: String,
    key: String,
    test: bool,
}

/// All signing certificates of the account.
#[utoipa::path(get, path = "/rest/shaken/certificate", operation_id = "ListShakenCertificates", tag = "shaken certificate",
    responses((status = 200, body = Envelope<Vec<model::ShakenCertificate>>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Reply {
    let certificates = state.store.shaken_certificates().list(caller.account()).await?;
    ok(certificates.iter().map(|certificate| shown(&state, certificate)).collect::<Vec<_>>())
}

/// Upload a signing certificate with its key, or have the test authority make one.
#[utoipa::path(post, path = "/rest/shaken/certificate", operation_id = "CreateShakenCertificate",
    tag = "shaken certificate", request_body = NewCertificate,
    responses((status = 201, body = Envelope<model::ShakenCertificate>), Faults))]
async fn create(State(state): State<ApiState>, caller: Caller, Body(form): Body<NewCertificate>) -> Reply {
    let shared = form.shared.unwrap_or(false);
    may_share(&caller, shared)?;
    let now = Utc::now();
    let certified = match (&form.certificate, &form.key) {
        (Some(certificate), Some(key)) => uploaded(certificate, key, &form, now)?,
        (None, None) => made(&state, &form, now)?,
        (Some(_), None) => return Err(AppError::param("key", "goes with certificate", Value::Null)),
        (None, Some(_)) => return Err(AppError::param("certificate", "goes with key", Value::Null)),
    };
    let new = NewShakenCertificate {
        name: form.name,
        is_active: form.is_active.unwrap_or(true),
        shared,
        test: certified.test,
        not_before: date(certified.chain.not_before)?,
        not_after: date(certified.chain.not_after)?,
        tn_auth_list: certified.chain.numbers().entries().iter().map(entry).collect(),
        subject: certified.chain.subject,
        issuer: certified.chain.issuer,
        serial: certified.chain.serial,
        chain: certified.pem,
        key: certified.key,
    };
    let certificate = state.store.shaken_certificates().create(caller.account(), caller.by(), new).await?;
    state.calls.invalidate(caller.account());
    created(shown(&state, &certificate))
}

/// One signing certificate.
#[utoipa::path(get, path = "/rest/shaken/certificate/{uuid}", operation_id = "GetShakenCertificateByUUID",
    tag = "shaken certificate", params(IfNoneMatch, ("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<model::ShakenCertificate>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Result<Tagged, AppError> {
    let certificate = state.store.shaken_certificates().get(caller.account(), uuid).await;
    let certificate = visible(&state, &caller, uuid, certificate).await?;
    Ok(Tagged(shown(&state, &certificate)))
}

/// Change the name of a signing certificate, or whether it signs.
#[utoipa::path(patch, path = "/rest/shaken/certificate/{uuid}", operation_id = "ModifyShakenCertificateByUUID",
    tag = "shaken certificate", params(IfMatch, ("uuid" = Uuid, Path)), request_body = CertificateChange,
    responses((status = 200, body = Envelope<model::ShakenCertificate>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    if_match: IfMatch,
    Body(form): Body<CertificateChange>,
) -> Result<Tagged, AppError> {
    let certificates = state.store.shaken_certificates();
    let current = visible(&state, &caller, uuid, certificates.get(caller.account(), uuid).await).await?;
    if_match.check(&shown(&state, &current))?;
    may_share(&caller, form.shared.unwrap_or(false))?;
    let changed = certificates.update(caller.account(), uuid, caller.by(), |certificate| {
        certificate.name = form.name.unwrap_or_else(|| std::mem::take(&mut certificate.name));
        certificate.is_active = form.is_active.unwrap_or(certificate.is_active);
        certificate.shared = form.shared.unwrap_or(certificate.shared);
    });
    let certificate = changed.await?;
    state.calls.invalidate(caller.account());
    Ok(Tagged(shown(&state, &certificate)))
}

/// Delete a signing certificate and its key. It is published no longer: signatures that are under way do not hold any more.
#[utoipa::path(delete, path = "/rest/shaken/certificate/{uuid}", operation_id = "RemoveShakenCertificateByUUID",
    tag = "shaken certificate", params(("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<model::ShakenCertificate>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let certificates = state.store.shaken_certificates();
    let certificate = visible(&state, &caller, uuid, certificates.get(caller.account(), uuid).await).await?;
    certificates.delete(caller.account(), uuid).await?;
    state.calls.invalidate(caller.account());
    ok(shown(&state, &certificate))
}

/// The chain that a signature's `x5u` names, for whoever checks it.
#[utoipa::path(get, path = "/shaken/{file}", operation_id = "GetPublishedShakenCertificate", tag = "shaken certificate",
    security(()), params(("file" = String, Path, description = "UUID of the certificate, then `.pem`")),
    responses((status = 200, content_type = "application/pem-certificate-chain", body = String),
        (status = 404, body = crate::openapi::Error), (status = 429, body = crate::openapi::Error),
        (status = 503, body = crate::openapi::Error)))]
async fn published(State(state): State<ApiState>, Path(file): Path<String>) -> Result<Response, AppError> {
    let unknown = || AppError::NotFound("Certificate");
    let uuid = file.strip_suffix(".pem").and_then(|uuid| uuid.parse().ok()).ok_or_else(unknown)?;
    let certificate = state.store.shaken_certificates().published(uuid).await.map_err(AppError::from)?;
    let chain = certificate.ok_or_else(unknown)?.chain;
    let headers = [(header::CONTENT_TYPE, "application/pem-certificate-chain"), (header::CACHE_CONTROL, CACHE)];
    Ok((headers, chain).into_response())
}

/// Whoever signs for others answers for them.
fn may_share(caller: &Caller, shared: bool) -> Result<(), AppError> {
    if shared && caller.account.level != AccountLevel::ServiceAccount {
        let message = "Only a service account may share a certificate".to_owned();
        return Err(AppError::Refused { code: None, message });
    }
    Ok(())
}

fn uploaded(certificate: &str, key: &str, form: &NewCertificate, now: DateTime<Utc>) -> Result<Certified, AppError> {
    let mut faults = Fields::default();
    for (property, given) in
        [("spc", form.spc.is_some()), ("numbers", !form.numbers.is_empty()), ("days", form.days.is_some())]
    {
        if given {
            faults.param(property, "is for certificates of the test authority", Value::Null);
        }
    }
    let signing = SigningKey::from_pem(key);
    if let Err(error) = &signing {
        // The value is not repeated: it may be a key, only of another kind.
        faults.param("key", error.to_string(), Value::Null);
    }
    match (Chain::parse(certificate.as_bytes()), signing) {
        (Err(error), _) => faults.param("certificate", error.to_string(), Value::Null),
        (Ok(chain), Ok(signing)) if chain.public_key() != signing.public_key() => {
            faults.param("key", "is not the key of the certificate", Value::Null);
        }
        (Ok(chain), _) if chain.not_after <= now.timestamp() => {
            faults.param("certificate", "is not valid any more", Value::Null);
        }
        (Ok(chain), Ok(_)) => {
            faults.check()?;
            return Ok(Certified { chain, pem: certificate.to_owned(), key: key.to_owned(), test: false });
        }
        (Ok(_), Err(_)) => {}
    }
    Err(AppError::Invalid(faults))
}

fn made(state: &ApiState, form: &NewCertificate, now: DateTime<Utc>) -> Result<Certified, AppError> {
    let Some(authority): Option<&Arc<_>> = state.authority.as_ref() else {
        return Err(AppError::param("certificate", "is needed: this node has no test authority", Value::Null));
    };
    let numbers = form.numbers.iter().map(|tn| TnEntry::One(u64::from(*tn).to_string()));
    let entries: Vec<TnEntry> = form.spc.clone().map(TnEntry::Spc).into_iter().chain(numbers).collect();
    if entries.is_empty() {
        return Err(AppError::param("spc", "or numbers, or certificate and key are needed", Value::Null));
    }
    let list = TnAuthList::new(entries)
        .map_err(|error| AppError::param("spc", error.to_string(), form.spc.clone().unwrap_or_default()))?;
    let internal = |error: &dyn std::fmt::Display| AppError::Internal(error.to_string());
    let issued = authority.issue(&form.name, &list, form.days.unwrap_or(DAYS), now.timestamp());
    let (pem, key) = issued.map_err(|error| internal(&error))?;
    let chain = Chain::parse(pem.as_bytes()).map_err(|error| internal(&error))?;
    Ok(Certified { chain, pem, key, test: true })
}

/// An entry of the TN authorization list, as it is shown.
fn entry(entry: &TnEntry) -> Value {
    match entry {
        TnEntry::Spc(code) => json!({ "spc": code }),
        TnEntry::One(number) => json!({ "number": number }),
        TnEntry::Range { start, count } => json!({ "start": start, "count": count }),
    }
}

fn date(seconds: i64) -> Result<DateTime<Utc>, AppError> {
    let out_of_range = || AppError::param("certificate", "has a date nobody can write", seconds);
    DateTime::from_timestamp(seconds, 0).ok_or_else(out_of_range)
}

fn shown(state: &ApiState, certificate: &ShakenCertificate) -> Value {
    let url = format!("{}/shaken/{}.pem", state.settings.public_url, certificate.uuid);
    view::shaken_certificate(certificate, &url)
}
