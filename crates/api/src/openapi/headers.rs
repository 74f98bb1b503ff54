//! The headers of requests and answers, as layers and extractors heed and write them: described once, and named by each
//! operation that has them.

use http::{Method, StatusCode};
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Components, OpenApi as Document, RefOr, Response, ResponseBuilder};

use super::by_reference;
use crate::idempotency;

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
const IF_MATCH: &str = "If-Match";
const IF_NONE_MATCH: &str = "If-None-Match";
const ETAG: &str = "ETag";
const REPLAYED: &str = "Idempotent-Replayed";

/// Headers of every answer.
const ALWAYS: [&str; 4] = ["X-Request-Id", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"];

fn header(name: &str, kind: Type, description: &str) -> (String, RefOr<Header>) {
    let schema = ObjectBuilder::new().schema_type(kind).build();
    (name.to_owned(), RefOr::T(HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()))
}

fn parameter(name: &str, schema: ObjectBuilder, description: &str) -> (String, RefOr<Parameter>) {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header);
    let parameter = parameter.schema(Some(schema.schema_type(Type::String).build())).description(Some(description));
    (name.to_owned(), RefOr::T(parameter.build()))
}

fn components(components: &mut Components) {
    components.headers.extend([
        header("X-Request-Id", Type::String, "The request's own if it has one, as in `meta` of an error"),
        header("RateLimit-Limit", Type::Integer, "Requests that may come at once"),
        header("RateLimit-Remaining", Type::Integer, "Of these, how many may come now"),
        header("RateLimit-Reset", Type::Integer, "Seconds until all of them may come again"),
        header("Retry-After", Type::Integer, "Seconds to wait"),
        header("WWW-Authenticate", Type::String, "How to send credentials"),
        header(ETAG, Type::String, "The object's version, for `If-Match` and `If-None-Match`"),
        header(REPLAYED, Type::Boolean, "`true` where this is the answer that the `Idempotency-Key` got first"),
    ]);
    let key = ObjectBuilder::new().min_length(Some(1)).max_length(Some(idempotency::MAX_KEY));
    components.parameters.extend([
        parameter(
            IDEMPOTENCY_KEY,
            key.pattern(Some("^[!-~]+$")),
            "Anything unique: the request is done once, and each retry with the same key within 24 hours gets the first answer \
             again. 409 where the key was used with another request or that is still running.",
        ),
        parameter(
            IF_MATCH,
            ObjectBuilder::new().examples(["*"]),
            "`ETag`s of versions: 412 where the object is another by now",
        ),
        parameter(IF_NONE_MATCH, ObjectBuilder::new(), "`ETag`s of versions: 304 where the object is still one of them"),
    ]);
    let unchanged = ResponseBuilder::new().description("`If-None-Match` names the version there is").build();
    components.responses.insert("NotModified".to_owned(), RefOr::T(with(unchanged, &[ETAG])));
}

/// Writes the headers into the document, those of each operation by what it is done with.
pub(super) fn describe(document: &mut Document) {
    let shared = document.components.get_or_insert_default();
    components(shared);
    for (name, response) in &mut shared.responses {
        if let RefOr::T(response) = response {
            let own: &[&str] = match name.as_str() {
                "TooMany" | "Unavailable" => &["Retry-After"],
                "Unauthorized" => &["WWW-Authenticate", REPLAYED],
                "TooLarge" | "Bug" | "NotModified" => &[],
                // A refusal would only be repeated, so that it is kept.
                _ => &[REPLAYED],
            };
            *response = with(with(std::mem::take(response), &ALWAYS), own);
        }
    }
    for item in document.paths.paths.values_mut() {
        for (method, operation) in operations(item) {
            describe_operation(&method, operation);
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let PathItem { get, post, put, patch, delete, .. } = item;
    [(Method::GET, get), (Method::POST, post), (Method::PUT, put), (Method::PATCH, patch), (Method::DELETE, delete)]
        .into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn describe_operation(method: &Method, operation: &mut Operation) {
    let open = operation.security.as_deref() == Some(&[SecurityRequirement::default()]);
    let mut parameters = operation.parameters.take().unwrap_or_default();
    if idempotency::heeded(method) && !open {
        parameters.push(by_reference("parameters", IDEMPOTENCY_KEY));
    }
    let mut success = ALWAYS.to_vec();
    for parameter in &mut parameters {
        let name = match parameter {
            RefOr::T(parameter) => parameter.name.clone(),
            RefOr::Ref(named) => named.ref_location.rsplit('/').next().unwrap_or_default().to_owned(),
        };
        match name.as_str() {
            IDEMPOTENCY_KEY => success.push(REPLAYED),
            IF_MATCH => {
                *parameter = by_reference("parameters", IF_MATCH);
                success.push(ETAG);
                operation.responses.responses.insert("412".to_owned(), by_reference("responses", "PreconditionFailed"));
            }
            IF_NONE_MATCH => {
                *parameter = by_reference("parameters", IF_NONE_MATCH);
                success.push(ETAG);
                operation.responses.responses.insert("304".to_owned(), by_reference("responses", "NotModified"));
            }
            _ => {}
        }
    }
    if !parameters.is_empty() {
        operation.parameters = Some(parameters);
    }
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response {
            let own: &[&str] = match status.as_str() {
                "429" | "503" => &["Retry-After"],
                _ => &[],
            };
            // What is made with a version says so itself.
            if let Some(tag) = response.headers.get_mut(ETAG) {
                *tag = by_reference("headers", ETAG);
            }
            let all = if status.starts_with('2') { success.as_slice() } else { &ALWAYS };
            *response = with(with(std::mem::take(response), all), own);
            if response.description.is_empty() {
                let reason =
                    StatusCode::from_bytes(status.as_bytes()).ok().and_then(|status| status.canonical_reason());
                response.description = reason.unwrap_or_default().to_owned();
            }
        }
    }
}

/// The response with these headers too.
fn with(mut response: Response, names: &[&str]) -> Response {
    response.headers.extend(names.iter().map(|name| ((*name).to_owned(), by_reference("headers", name))));
    response
}
