//! `POST /rest/sms`: what is checked before a message is queued.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::Utc;
use opentact_engine::number;
use opentact_engine::ports::{ControlError, SendMessage, Sender};
use opentact_messaging::thread_id;
use opentact_store::sms::{Enqueue, NewSms, Waiting};
use opentact_store::types::{Feature, SmsType};
use opentact_store::{Money, StoreError, Tn};
use serde_json::Value;
use uuid::Uuid;

use super::pool::Pool;
use super::view::Context;
use super::{CANCELED, Shared, control_error, draining, intake, invalid, measure};

/// Where messages of one request come from.
pub(super) enum Origin {
    Number(Arc<Context>),
    Pool(Pool),
}

impl Origin {
    pub(super) async fn find(shared: &Shared, account: Uuid, from: Sender) -> Result<Origin, ControlError> {
        match from {
            Sender::Number(from) => {
                let from = Tn::new(from).map_err(|error| invalid("from", &error, from))?;
                let lease = shared.store.numbers().get_lease_by_tn(account, from).await.map_err(control_error)?;
                if !lease.subscriptions.contains(&Feature::Sms) {
                    return Err(invalid("from", &"SMS is not enabled on this number", from));
                }
                let context = Context::load(shared, account, from, Some(lease)).await.map_err(control_error)?;
                Ok(Origin::Number(Arc::new(context)))
            }
            Sender::Pool(profile) => Ok(Origin::Pool(Pool::load(shared, account, profile).await?)),
        }
    }

    /// Of the account and the profile, whichever number it will be.
    pub(super) fn any(&self) -> &Context {
        match self {
            Origin::Number(context) => context,
            Origin::Pool(pool) => pool.any(),
        }
    }

    async fn to(&self, shared: &Shared, recipient: Tn) -> Result<Arc<Context>, ControlError> {
        match self {
            Origin::Number(context) => Ok(context.clone()),
            Origin::Pool(pool) => pool.choose(shared, recipient).await,
        }
    }

    fn kind(&self) -> SmsType {
        match self {
            Origin::Number(_) => SmsType::Outbound,
            Origin::Pool(_) => SmsType::Pool,
        }
    }
}

/// One result a recipient, in the order given. What is wrong with the request itself fails it as a whole.
pub(super) async fn send(
    shared: &Shared,
    request: SendMessage,
) -> Result<Vec<Result<Value, ControlError>>, ControlError> {
    if shared.stop.is_cancelled() {
        return Err(draining());
    }
    let recipients = request.to.len();
    if recipients == 0 || recipients > shared.config.max_recipients {
        let message = format!("must have 1 to {} recipients", shared.config.max_recipients);
        return Err(invalid("to", &message, recipients));
    }
    let now = Utc::now();
    if let Some(send_at) = request.send_at.filter(|send_at| *send_at > now + shared.config.schedule) {
        let message = format!("must be within {} days", shared.config.schedule.as_secs() / 86_400);
        return Err(invalid("send_at", &message, send_at.to_rfc3339()));
    }
    let origin = Origin::find(shared, request.account, request.from).await?;
    let any = origin.any();
    if any.account.disabled_on.is_some() {
        return Err(ControlError::Forbidden { code: 403, message: "Account is disabled".to_owned() });
    }
    let measured = measure(shared, &request.text, any.smart_encoding())?;
    let gone = opted_out(shared, any, &request.to).await?;

    let reserved = shared.reserved.lock().get(&request.account).copied().unwrap_or_default();
    let mut available = any.account.balance - reserved;
    let mut results: Vec<Option<ControlError>> = Vec::with_capacity(recipients);
    let mut messages = Vec::with_capacity(recipients);
    for &to in &request.to {
        match route(shared, &origin, to, &gone, available, measured.segments).await {
            Err(error) => results.push(Some(error)),
            Ok((to, context, price)) => {
                available = available - price;
                results.push(None);
                let new = NewSms {
                    kind: origin.kind(),
                    from: context.tn.to_string(),
                    to: to.to_string(),
                    tn: context.tn,
                    tn_lease: context.lease.as_ref().map(|lease| lease.uuid),
                    messaging_profile: context.profile.as_ref().map(|profile| profile.uuid),
                    thread: thread_id(context.tn.get(), to.get()),
                    message: request.text.clone(),
                    automated: false,
                    reference_id: None,
                    segments: u8::try_from(measured.segments).unwrap_or(u8::MAX),
                    encoding: measured.encoding.name().to_owned(),
                    custom_callback_url: request.custom_callback_url.clone(),
                    created_by: request.created_by,
                    carrier: None,
                };
                messages.push((new, context));
            }
        }
    }
    let patience = request.validity.unwrap_or(shared.config.queue_timeout);
    let begins = request.send_at.map_or(now, |send_at| send_at.max(now));
    let waiting = Waiting { send_at: request.send_at, expires_on: begins + patience, priority: request.priority };
    let mut views = queue(shared, request.account, messages, waiting, &request.submits).await?.into_iter();
    let results = results.into_iter().map(|failed| match failed {
        Some(error) => Err(error),
        None => views.next().ok_or_else(|| ControlError::Internal("a message was not written".to_owned())),
    });
    Ok(results.collect())
}

/// What is checked for each recipient; the number it is sent from and what it will cost.
async fn route(
    shared: &Shared,
    origin: &Origin,
    to: u64,
    opted_out: &HashSet<Tn>,
    available: Money,
    segments: usize,
) -> Result<(Tn, Arc<Context>, Money), ControlError> {
    let to = Tn::new(to).map_err(|error| invalid("to", &error, to))?;
    if !allows(origin.any(), to) {
        return Err(ControlError::Forbidden { code: 406, message: "Country Permission Violation".to_owned() });
    }
    if opted_out.contains(&to) {
        return Err(ControlError::Forbidden { code: 407, message: "Recipient Opted Out".to_owned() });
    }
    let context = origin.to(shared, to).await?;
    if !context.may_send(to) {
        return Err(no_campaign());
    }
    // Each segment is one on the wire.
    let price = context.prices.sms_per_send_cost.times(segments as i64);
    if available < price {
        return Err(ControlError::InsufficientBalance);
    }
    Ok((to, context, price))
}

pub(super) fn no_campaign() -> ControlError {
    ControlError::Forbidden { code: 408, message: "No Active Campaign".to_owned() }
}

/// Whether the profile lets messages go to the recipient's country.
pub(super) fn allows(context: &Context, to: Tn) -> bool {
    let Some(profile) = context.profile.as_ref().filter(|profile| !profile.allowed_countries.is_empty()) else {
        return true;
    };
    number::country(to.get()).is_some_and(|country| profile.allowed_countries.contains(&country))
}

async fn opted_out(shared: &Shared, context: &Context, to: &[u64]) -> Result<HashSet<Tn>, ControlError> {
    let to = to.iter().filter_map(|to| Tn::new(*to).ok()).collect();
    let profile = context.profile.as_ref().map(|profile| profile.uuid);
    let gone = shared.store.opt_outs().among(context.account.uuid, profile, to).await.map_err(control_error)?;
    Ok(gone.into_iter().collect())
}

/// On disk, then told of, then acknowledged.
async fn queue(
    shared: &Shared,
    account: Uuid,
    messages: Vec<(NewSms, Arc<Context>)>,
    waiting: Waiting,
    submits: &[Uuid],
) -> Result<Vec<Value>, ControlError> {
    if messages.is_empty() {
        return Ok(vec![]);
    }
    let (messages, contexts) = messages.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
    intake::enqueue(shared, Enqueue { account, messages, waiting, submits: submits.to_vec() }, contexts).await
}

/// Takes a message back that has not left yet.
pub(super) async fn cancel(shared: &Shared, account: Uuid, uuid: Uuid) -> Result<Value, ControlError> {
    let canceled = shared.store.sms().cancel(account, uuid, CANCELED).await.map_err(control_error)?;
    let Some(sms) = canceled else {
        return Err(ControlError::Conflict("The message is not waiting any more".to_owned()));
    };
    let lease = match shared.store.numbers().get_lease_by_tn(account, sms.tn).await {
        Err(StoreError::NotFound(_)) => None,
        found => Some(found.map_err(control_error)?),
    };
    let context = Context::load(shared, account, sms.tn, lease).await.map_err(control_error)?;
    shared.news(account);
    Ok(context.publish(shared, &sms))
}
