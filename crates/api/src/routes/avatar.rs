//! Images of users and SIP users: uploaded by them, seen by whoever has the URL.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::user::{find, may_change, online};
use crate::auth::{Caller, Phone};
use crate::envelope::{Envelope, Reply, ok};
use crate::error::AppError;
use crate::expand;
use crate::extract::{Id, Image, ImageFile};
use crate::model;
use crate::openapi::{Error, Faults};
use crate::state::ApiState;

/// A new image has a new URL.
const CACHE: &str = "public, max-age=31536000, immutable";

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(upload, remove)).routes(routes!(upload_own)).routes(routes!(image))
}

/// Keeps an image; its URL.
async fn keep(state: &ApiState, owner: Uuid, image: Image) -> Result<String, AppError> {
    let extension = if image.content_type == "image/png" { "png" } else { "jpg" };
    let uuid = state.store.avatars().add(owner, image.content_type, image.octets).await?;
    Ok(format!("{}/avatar/{uuid}.{extension}", state.settings.public_url))
}

async fn set(state: &ApiState, caller: &Caller, user: Uuid, avatar: Option<String>) -> Reply {
    let changed = state.store.users().update(caller.account(), user, |user| user.avatar = avatar).await?;
    ok(online(state, &changed))
}

/// Upload a user's image, PNG or JPEG, in place of the one before: one's own; an Admin that of any user of the account.
#[utoipa::path(post, path = "/rest/user/{uuid}/avatar", operation_id = "UploadAvatar", tag = "user",
    params(("uuid" = Uuid, Path)),
    request_body(content((ImageFile = "multipart/form-data"), (Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"))),
    responses((status = 200, body = Envelope<model::User>), Faults))]
async fn upload(State(state): State<ApiState>, caller: Caller, Id(uuid): Id, image: Image) -> Reply {
    find(&state, &caller, uuid).await?;
    may_change(&caller, uuid)?;
    let url = keep(&state, uuid, image).await?;
    set(&state, &caller, uuid, Some(url)).await
}

/// Take a user's image away.
#[utoipa::path(delete, path = "/rest/user/{uuid}/avatar", operation_id = "RemoveAvatar", tag = "user",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::User>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    find(&state, &caller, uuid).await?;
    may_change(&caller, uuid)?;
    set(&state, &caller, uuid, None).await
}

/// Upload one's own image as a SIP user, PNG or JPEG, in place of the one before.
#[utoipa::path(post, path = "/rest/app/avatar", operation_id = "UploadSIPUserAvatarApp", tag = "app",
    security(("ha1b" = [])),
    request_body(content((ImageFile = "multipart/form-data"), (Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"))),
    responses((status = 200, body = Envelope<model::SipUser>), Faults))]
async fn upload_own(State(state): State<ApiState>, phone: Phone, image: Image) -> Reply {
    let url = keep(&state, phone.user.uuid, image).await?;
    let users = state.store.sip_users();
    let changed = users.update(phone.account(), phone.user.uuid, None, None, |user| user.avatar = Some(url)).await?;
    state.calls.invalidate(phone.account());
    ok(expand::sip_user(&state, &phone.domain, &changed).await?)
}

/// An uploaded image, as `avatar` of its owner names it.
#[utoipa::path(get, path = "/avatar/{file}", operation_id = "GetAvatar", tag = "user", security(()),
    params(("file" = String, Path, description = "UUID of the image, then `.png` or `.jpg`")),
    responses((status = 200, content((Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"))),
        (status = 404, body = Error), (status = 429, body = Error), (status = 503, body = Error)))]
async fn image(State(state): State<ApiState>, Path(file): Path<String>) -> Result<Response, AppError> {
    let uuid = file.split_once('.').and_then(|(uuid, _)| uuid.parse().ok()).ok_or(AppError::NotFound("Avatar"))?;
    let avatar = state.store.avatars().get(uuid).await?;
    let headers = [
        (header::CONTENT_TYPE, avatar.content_type.as_str()),
        (header::CACHE_CONTROL, CACHE),
        // Whatever else its octets may be, it is shown as the image it was taken for.
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, avatar.image).into_response())
}
