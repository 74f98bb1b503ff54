//! STUN and TURN servers for browsers.

use axum::extract::State;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use ring::hmac;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, ok};
use crate::model;
use crate::openapi::Faults;
use crate::settings::IceSettings;
use crate::state::ApiState;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// What a page gives its browser as `iceServers`: the node's STUN and TURN servers, with a password that is good for a while.
#[utoipa::path(get, path = "/rest/sip/ice_server", operation_id = "ListICEServers", tag = "sip user",
    responses((status = 200, body = Envelope<model::IceServers>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Reply {
    ok(servers(&state.settings.ice, &caller.account().to_string(), Utc::now()))
}

/// What TURN servers that know the secret let `user` in with (draft-uberti-behave-turn-rest-00): until when, and a code of that.
fn servers(settings: &IceSettings, user: &str, now: DateTime<Utc>) -> Value {
    let (turn, stun): (Vec<_>, Vec<_>) = settings.servers.iter().partition(|url| url.starts_with("turn"));
    let mut servers = Vec::new();
    if !stun.is_empty() {
        servers.push(json!({"urls": stun}));
    }
    let mut expires_on = None;
    match &settings.turn_secret {
        _ if turn.is_empty() => {}
        None => servers.push(json!({"urls": turn})),
        Some(secret) => {
            let until = now + settings.turn_ttl;
            let username = format!("{}:{user}", until.timestamp());
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
            let credential = BASE64_STANDARD.encode(hmac::sign(&key, username.as_bytes()));
            servers.push(json!({"urls": turn, "username": username, "credential": credential}));
            expires_on = Some(until.to_rfc3339_opts(SecondsFormat::Millis, true));
        }
    }
    json!({"ice_servers": servers, "expires_on": expires_on})
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_turn_server_gets_a_password_until_a_time_and_a_stun_server_none() {
        let servers_of = |secret: Option<&str>, urls: &[&str]| {
            let settings = IceSettings {
                servers: urls.iter().map(|url| (*url).to_owned()).collect(),
                turn_secret: secret.map(str::to_owned),
                turn_ttl: Duration::from_secs(3600),
            };
            servers(&settings, "alice", DateTime::from_timestamp(1_800_000_000, 0).unwrap())
        };
        let (stun, turn) = ("stun:stun.example.com", "turn:turn.example.com:3478?transport=udp");
        assert_eq!(servers_of(None, &[]), json!({"ice_servers": [], "expires_on": null}));
        assert_eq!(servers_of(Some("north"), &[stun]), json!({"ice_servers": [{"urls": [stun]}], "expires_on": null}));
        // printf 1800003600:alice | openssl dgst -sha1 -hmac north -binary | base64
        let expected = json!({
            "ice_servers": [
                {"urls": [stun]},
                {"urls": [turn], "username": "1800003600:alice", "credential": "qe6uQh2FdtYywRuncfIrYF8O4Rk="},
            ],
            "expires_on": "2027-01-15T09:00:00.000Z",
        });
        assert_eq!(servers_of(Some("north"), &[turn, stun]), expected);
        assert_eq!(servers_of(None, &[turn]), json!({"ice_servers": [{"urls": [turn]}], "expires_on": null}));
    }
}
