//! What the specification names and this version does not do: 501 in the envelope, absent from the OpenAPI.

use axum::Router;
use axum::routing::{MethodFilter, on};
use http::Method;

use crate::auth::Caller;
use crate::error::AppError;
use crate::state::ApiState;

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

/// Path by path, with the methods the specification gives each.
#[rustfmt::skip]
pub(crate) const LATER: &[(&str, &[Method])] = &[
    // calls
    ("/rest/call/{uuid}/listen", &[GET]),
    // billing, admin
    ("/rest/payment", &[GET, POST]),
    ("/rest/payment/{uuid}", &[GET, PATCH]),
    ("/rest/admin/class4/products/sync", &[GET]),
    ("/rest/admin/class4/did/prefix", &[POST]),
    ("/rest/admin/system/dict_gtts_reload", &[GET]),
    // video rooms
    ("/rest/janus/conn", &[POST, DELETE, PATCH]),
    ("/rest/janus/conn/{uuid}", &[GET, DELETE]),
    ("/rest/janus/conn/{uuid}/{id}", &[GET]),
    ("/rest/janus/session", &[POST]),
    ("/rest/janus/session/list", &[GET]),
    ("/rest/janus/session/owner", &[GET]),
    ("/rest/janus/session/account", &[GET]),
    ("/rest/janus/session/{uuid}", &[GET, DELETE, PATCH]),
    ("/rest/janus/session/{uuid}/roster", &[GET]),
    ("/rest/janus/session/{uuid}/whitelist", &[POST]),
    ("/rest/janus/session/{uuid}/blacklist", &[POST]),
    ("/rest/janus/session/{uuid}/whitelist/{id}", &[DELETE]),
    ("/rest/janus/session/{uuid}/blacklist/{id}", &[DELETE]),
    ("/rest/janus/session/{uuid}/user", &[POST]),
    ("/rest/janus/session/{uuid}/user/{id}", &[DELETE, PATCH]),
];

pub(crate) fn router() -> Router<ApiState> {
    LATER.iter().fold(Router::new(), |router, (path, methods)| {
        let filters = methods.iter().filter_map(|method| MethodFilter::try_from(method.clone()).ok());
        match filters.reduce(MethodFilter::or) {
            Some(filter) => router.route(path, on(filter, confined)),
            None => router,
        }
    })
}

/// A stranger learns nothing: without credentials it is 401 as it will be later.
async fn confined(_: Caller) -> AppError {
    AppError::NotImplemented
}
