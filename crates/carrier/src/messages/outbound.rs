//! `POST /rest/sms`: what is checked before a message is queued.

use std::time::Duration;

use chrono::Utc;
use opentact_engine::ports::{ControlError, SendMessage};
use opentact_messaging::{Encoding, encoding, segment, thread_id};
use opentact_store::Tn;
use opentact_store::sms::NewSms;
use opentact_store::types::{Feature, SmsType};
use serde_json::Value;

use super::view::Context;
use super::{Shared, control_error, invalid};

/// What a request that comes while the node drains may wait.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// One result a recipient, in the order given. What is wrong with the request itself fails it as a whole.
pub(super) async fn send(
    shared: &Shared,
    request: SendMessage,
) -> Result<Vec<Result<Value, ControlError>>, ControlError> {
    if shared.stop.is_cancelled() {
        return Err(ControlError::Unavailable { reason: "draining".to_owned(), retry_after: RETRY_AFTER });
    }
    let recipients = request.to.len();
    if recipients == 0 || recipients > shared.config.max_recipients {
        let message = format!("must have 1 to {} recipients", shared.config.max_recipients);
        return Err(invalid("to", &message, recipients));
    }
    let from = Tn::new(request.from).map_err(|error| invalid("from", &error, request.from))?;
    let numbers = shared.store.numbers();
    let lease = numbers.get_lease_by_tn(request.account, from).await.map_err(control_error)?;
    let lease_id = lease.uuid;
    if !lease.subscriptions.contains(&Feature::Sms) {
        return Err(invalid("from", &"SMS is not enabled on this number", from));
    }
    let context = Context::load(shared, request.account, from, Some(lease)).await.map_err(control_error)?;
    if context.account.disabled_on.is_some() {
        return Err(ControlError::Forbidden { code: 403, message: "Account is disabled".to_owned() });
    }
    let smart = context.profile.as_ref().is_none_or(|profile| profile.smart_encoding);
    let (encoding, segments) = measure(shared, &request.text, smart)?;

    let price = context.prices.sms_per_send_cost;
    let reserved = shared.reserved.lock().get(&request.account).copied().unwrap_or_default();
    let mut available = context.account.balance - reserved;
    let mut results: Vec<Option<ControlError>> = Vec::with_capacity(recipients);
    let mut messages = Vec::with_capacity(recipients);
    for &to in &request.to {
        let checked = match Tn::new(to) {
            Err(error) => Err(invalid("to", &error, to)),
            Ok(_) if available < price => Err(ControlError::InsufficientBalance),
            Ok(to) => Ok(to),
        };
        match checked {
            Err(error) => results.push(Some(error)),
            Ok(to) => {
                available = available - price;
                results.push(None);
                messages.push(NewSms {
                    kind: SmsType::Outbound,
                    from: from.to_string(),
                    to: to.to_string(),
                    tn: from,
                    tn_lease: Some(lease_id),
                    messaging_profile: context.profile.as_ref().map(|profile| profile.uuid),
                    thread: thread_id(from.get(), to.get()),
                    message: request.text.clone(),
                    automated: false,
                    reference_id: None,
                    segments,
                    encoding: encoding.name().to_owned(),
                    custom_callback_url: request.custom_callback_url.clone(),
                    created_by: request.created_by,
                });
            }
        }
    }
    let mut views = queue(shared, &context, &request, messages).await?.into_iter();
    let results = results.into_iter().map(|failed| match failed {
        Some(error) => Err(error),
        None => views.next().ok_or_else(|| ControlError::Internal("a message was not written".to_owned())),
    });
    Ok(results.collect())
}

/// On disk, then told of, then acknowledged.
async fn queue(
    shared: &Shared,
    context: &Context,
    request: &SendMessage,
    messages: Vec<NewSms>,
) -> Result<Vec<Value>, ControlError> {
    if messages.is_empty() {
        return Ok(vec![]);
    }
    let patience = request.validity.unwrap_or(shared.config.queue_timeout);
    let expires_on = Utc::now() + patience;
    let announcing = shared.announcing.read().await;
    let written = shared.store.sms().enqueue(request.account, messages, expires_on).await.map_err(control_error)?;
    let views = written.iter().map(|sms| context.publish(shared, sms)).collect();
    drop(announcing);
    metrics::counter!("opentact_sms_queued_total").increment(written.len() as u64);
    shared.queued.notify_one();
    Ok(views)
}

fn measure(shared: &Shared, text: &str, smart: bool) -> Result<(Encoding, u8), ControlError> {
    if text.is_empty() {
        return Err(invalid("message", &"must not be empty", text));
    }
    let segments = segment::count(text, smart);
    let limit = shared.config.max_segments.min(segment::MAX_SEGMENTS);
    let fitting = u8::try_from(segments).ok().filter(|_| segments <= limit);
    let Some(segments) = fitting else {
        return Err(invalid("message", &format!("takes {segments} segments, at most {limit} are allowed"), text));
    };
    let encoding = if smart { Encoding::of(&encoding::smart(text)) } else { Encoding::of(text) };
    Ok((encoding, segments))
}
