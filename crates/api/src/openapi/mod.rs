//! The document at `/swagger/openapi.json` and the parts of it that all operations share.

mod examples;
mod headers;

use std::collections::BTreeMap;

use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, Modify, OpenApi, ToSchema};

use crate::error::Field;

/// The error envelope.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Error {
    #[schema(example = false)]
    success: bool,
    message: String,
    /// The HTTP status.
    status: u16,
    /// Request id, as in `X-Request-Id`.
    meta: Option<String>,
    /// The product's own code: 405 `Insufficient Balance`, 406 `Country Permission Violation`, 407 `Recipient Opted
    /// Out`, 408 `No Active Campaign`.
    code: Option<u16>,
    /// All wrong properties, keyed `params.<property>` or `path.<name>`.
    fields: Option<BTreeMap<String, Field>>,
}

/// What can be answered instead of success: status, name in the document, when.
const FAULTS: [(&str, &str, &str); 12] = [
    ("400", "BadRequest", "Body or query cannot be read"),
    ("401", "Unauthorized", "No or wrong credentials, or an object of another account"),
    ("402", "NoBalance", "Not enough account balance"),
    ("403", "Refused", "Not allowed to this token or product"),
    ("404", "NotFound", "No such object"),
    ("409", "Conflict", "Exists already, is in use or in the wrong state"),
    ("412", "PreconditionFailed", "`If-Match` names an older version"),
    ("413", "TooLarge", "Body too large"),
    ("422", "Invalid", "Validation failed: `fields` lists everything that is wrong"),
    ("429", "TooMany", "Too many requests: wait for `Retry-After` seconds"),
    ("500", "Bug", "A bug"),
    ("503", "Unavailable", "The server drains or is at a limit: wait for `Retry-After` seconds"),
];

/// What any operation with credentials may answer instead of success.
pub struct Faults;

impl IntoResponses for Faults {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        // 402 is of what costs money, 412 of what heeds `If-Match`.
        let any = FAULTS.into_iter().filter(|(status, _, _)| !["402", "412"].contains(status));
        any.map(|(status, name, _)| (status.to_owned(), by_reference("responses", name))).collect()
    }
}

/// 402, for what costs money.
pub struct NoBalance;

impl IntoResponses for NoBalance {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::from([("402".to_owned(), by_reference("responses", "NoBalance"))])
    }
}

/// A shared part of the document.
fn by_reference<T>(kind: &str, name: &str) -> RefOr<T> {
    RefOr::Ref(Ref::new(format!("#/components/{kind}/{name}")))
}

fn fault(description: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Error"))).build();
    ResponseBuilder::new().description(description).content("application/json", content).build()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Opentact",
        description = "Calls, messages and numbers. Guides: docs/rest-api.md and docs/events.md.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(Error)),
    modifiers(&Credentials, &Shared),
    security(("basic" = []), ("bearer" = []), ("jwt" = []), ("google" = []), ("facebook" = []))
)]
struct Base;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        let mut add = |name: &str, scheme| components.add_security_scheme(name, scheme);
        add("basic", SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)));
        add("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        add("google", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Auth-Google-Token"))));
        add("facebook", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Auth-Facebook-Token"))));
        add("ha1b", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Auth-HA1B-Token"))));
        add("jwt", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Auth-Token"))));
    }
}

/// The faults.
struct Shared;

impl Modify for Shared {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        components.responses.extend(FAULTS.map(|(_, name, text)| (name.to_owned(), RefOr::T(fault(text)))));
    }
}

/// The document without paths.
pub(crate) fn base(public_url: &str) -> Document {
    let mut document = Base::openapi();
    document.servers = Some(vec![utoipa::openapi::Server::new(public_url)]);
    document
}

/// What is the same in many operations, once all of them are in the document.
pub(crate) fn finish(document: &mut Document) {
    headers::describe(document);
    examples::describe(document);
}
