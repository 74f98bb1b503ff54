//! The document at `/swagger/openapi.json` and the parts of it that all operations share.

use std::collections::BTreeMap;

use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, RefOr, Response, ResponseBuilder};
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

/// What any operation with credentials may answer instead of success.
pub struct Faults;

impl IntoResponses for Faults {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let faults = [
            ("400", "Body or query cannot be read"),
            ("401", "No or wrong credentials, or an object of another account"),
            ("403", "Not allowed to this token or product"),
            ("404", "No such object"),
            ("409", "Exists already, is in use or in the wrong state"),
            ("412", "`If-Match` names an older version"),
            ("413", "Body too large"),
            ("422", "Validation failed: `fields` lists everything that is wrong"),
            ("429", "Too many requests: wait for `Retry-After` seconds"),
            ("500", "A bug"),
            ("503", "The server drains or is at a limit: wait for `Retry-After` seconds"),
        ];
        faults.into_iter().map(|(code, text)| (code.to_owned(), RefOr::T(fault(text)))).collect()
    }
}

/// 402, for what costs money.
pub struct NoBalance;

impl IntoResponses for NoBalance {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::from([("402".to_owned(), RefOr::T(fault("Not enough account balance")))])
    }
}

fn fault(description: &str) -> Response {
    use utoipa::openapi::{ContentBuilder, Ref};
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
    modifiers(&Credentials),
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

/// The document without paths.
pub(crate) fn base(public_url: &str) -> Document {
    let mut document = Base::openapi();
    document.servers = Some(vec![utoipa::openapi::Server::new(public_url)]);
    document
}
