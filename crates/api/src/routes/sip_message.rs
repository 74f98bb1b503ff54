//! Messages between SIP users, as threads.

use axum::extract::State;
use opentact_events::view;
use opentact_store::sip_messages::SipMessageFilter;
use opentact_store::types::SmsState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::forms::{PageQuery, search_form};
use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, ok};
use crate::extract::{Body, Id, Query};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(find)).routes(routes!(get))
}

search_form! {
    /// Filters of the messages between SIP users.
    pub struct SipMessageSearch {
        #[serde(deserialize_with = "types::text_or_number")]
        #[schema(schema_with = types::mask)]
        pub from: Option<String>,
        #[serde(deserialize_with = "types::text_or_number")]
        #[schema(schema_with = types::mask)]
        pub to: Option<String>,
        #[serde(deserialize_with = "types::text_or_number")]
        #[schema(schema_with = types::mask)]
        pub message: Option<String>,
        #[schema(schema_with = types::sms_state_filter)]
        pub state: Option<String>,
        pub delivered: Option<bool>,
        #[schema(max_length = 64)]
        pub thread: Option<String>,
    }
}

/// Search the messages between SIP users; all of one `thread` are a conversation.
#[utoipa::path(post, path = "/rest/sip/message/search", operation_id = "SearchSIPMessages", tag = "sip message",
    params(PageQuery), request_body = SipMessageSearch,
    responses((status = 200, body = Envelope<model::Page<model::SipUserMessage>>), Faults))]
async fn find(
    State(state): State<ApiState>,
    caller: Caller,
    Query(query): Query<PageQuery>,
    Body(form): Body<SipMessageSearch>,
) -> Reply {
    let search = form.search(&query)?;
    let filter = SipMessageFilter {
        from: form.from,
        to: form.to,
        message: form.message,
        state: form.state.as_deref().and_then(|word| match word {
            "sent" => Some(SmsState::Success),
            word => word.parse().ok(),
        }),
        delivered: form.delivered,
        thread: form.thread,
    };
    let found = state.store.sip_messages().search(caller.account(), filter, search).await?;
    ok(view::found(found.map(|message| view::sip_message(&message, Some(&caller.account)))))
}

/// One message between SIP users.
#[utoipa::path(get, path = "/rest/sip/message/{uuid}", operation_id = "GetSIPMessage", tag = "sip message",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::SipUserMessage>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let message = state.store.sip_messages().get(caller.account(), uuid).await;
    let message = visible(&state, &caller, uuid, message).await?;
    ok(view::sip_message(&message, Some(&caller.account)))
}
