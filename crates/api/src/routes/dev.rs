//! The simulated telephone network calls or texts a leased number. Only with the dev carrier.

use std::time::Duration;

use axum::extract::State;
use opentact_engine::ports::{DevCall, DevScript};
use opentact_store::types::Tn;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::lease;
use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, created};
use crate::error::{AppError, Fields};
use crate::extract::{Check, Checked, has};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::types;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(call)).routes(routes!(sms))
}

fn available(state: &ApiState) -> Result<(), AppError> {
    if state.settings.dev_carrier {
        return Ok(());
    }
    Err(AppError::Unavailable { reason: "The dev carrier is off".to_owned(), retry_after: Duration::from_secs(3600) })
}

#[derive(Debug, Deserialize, ToSchema)]
struct DevCallForm {
    /// Who calls.
    #[schema(schema_with = types::tn)]
    from: Tn,
    /// A number leased by the account.
    #[schema(schema_with = types::tn)]
    to: Tn,
    /// What the caller does once answered: `echo` (default), `say`, `dtmf`, `silent`.
    #[schema(schema_with = script)]
    script: Option<String>,
    /// For `say`.
    #[schema(min_length = 1, max_length = 1000)]
    text: Option<String>,
    /// For `dtmf`: keys 0-9, A-D, *, #.
    #[schema(schema_with = types::dtmf)]
    digits: Option<String>,
    /// For `dtmf`: milliseconds after the answer, default 1000.
    #[schema(minimum = 0, maximum = 60_000)]
    after: Option<u64>,
    /// The caller hangs up after so many seconds, default 60.
    #[schema(minimum = 1, maximum = 600)]
    duration: Option<u64>,
}

fn script() -> utoipa::openapi::Object {
    utoipa::openapi::schema::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .enum_values(Some(["echo", "say", "dtmf", "silent"]))
        .build()
}

impl Check for DevCallForm {
    fn check(body: &Map<String, Value>, fields: &mut Fields) {
        for (script, needs) in [("say", "text"), ("dtmf", "digits")] {
            if body.get("script").and_then(Value::as_str) == Some(script) && !has(body, needs) {
                fields.param(needs, format!("is required for {script}"), Value::Null);
            }
        }
    }
}

impl DevCallForm {
    /// What is said or keyed tells the script where none is named.
    fn script(&self) -> DevScript {
        let after = Duration::from_millis(self.after.unwrap_or(1000));
        match (self.script.as_deref(), &self.text, &self.digits) {
            (Some("silent"), _, _) => DevScript::Silent,
            (Some("dtmf") | None, _, Some(digits)) => DevScript::Dtmf { digits: digits.to_ascii_uppercase(), after },
            (Some("say") | None, Some(text), _) => DevScript::Say(text.clone()),
            _ => DevScript::Echo,
        }
    }
}

/// The outside world calls a number of the account.
#[utoipa::path(post, path = "/rest/dev/call", operation_id = "DevCall", tag = "dev", request_body = DevCallForm,
    responses((status = 201, body = Envelope<model::DevCallResult>), Faults))]
async fn call(State(state): State<ApiState>, caller: Caller, Checked(form): Checked<DevCallForm>) -> Reply {
    available(&state)?;
    lease::by_number(&state, &caller, form.to).await?;
    let request = DevCall {
        account: caller.account(),
        from: form.from.get(),
        to: form.to.get(),
        script: form.script(),
        duration: Duration::from_secs(form.duration.unwrap_or(60)),
    };
    created(state.calls.dev_call(request).await?)
}

#[derive(Debug, Deserialize, ToSchema)]
struct DevSmsForm {
    #[schema(schema_with = types::tn)]
    from: Tn,
    /// A number leased by the account.
    #[schema(schema_with = types::tn)]
    to: Tn,
    /// The text.
    #[schema(min_length = 1, max_length = 918)]
    message: Option<String>,
    /// The same.
    #[schema(min_length = 1, max_length = 918)]
    text: Option<String>,
}

impl Check for DevSmsForm {
    fn check(body: &Map<String, Value>, fields: &mut Fields) {
        if !has(body, "message") && !has(body, "text") {
            fields.param("message", "is required", Value::Null);
        }
    }
}

/// The outside world texts a number of the account.
#[utoipa::path(post, path = "/rest/dev/sms", operation_id = "DevSms", tag = "dev", request_body = DevSmsForm,
    responses((status = 201, body = Envelope<model::DevSmsResult>), Faults))]
async fn sms(State(state): State<ApiState>, caller: Caller, Checked(form): Checked<DevSmsForm>) -> Reply {
    available(&state)?;
    lease::by_number(&state, &caller, form.to).await?;
    let text = form.message.or(form.text).unwrap_or_default();
    let sent = state.messages.dev_message(caller.account(), form.from.get(), form.to.get(), text).await?;
    created(sent)
}
