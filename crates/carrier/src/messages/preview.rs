//! `POST /rest/sms/preview`: what a message would be, without sending it.

use opentact_engine::ports::{ControlError, PreviewMessage};
use opentact_messaging::{Encoding, encoding, segment};
use serde_json::{Value, json};

use super::outbound::Origin;
use super::{Shared, invalid};

/// Of a pool the dearest of its numbers counts.
pub(super) async fn preview(shared: &Shared, request: PreviewMessage) -> Result<Value, ControlError> {
    if request.text.is_empty() {
        return Err(invalid("message", &"must not be empty", ""));
    }
    let origin = Origin::find(shared, request.account, request.from).await?;
    let context = origin.any();
    let smart = context.smart_encoding();
    let measured = segment::measure(&request.text, smart);
    let each = match &origin {
        Origin::Number(context) => context.prices.sms_per_send_cost,
        Origin::Pool(pool) => pool.dearest(),
    };
    let price = each.times(measured.segments as i64);
    let recipients = request.to.len().max(1);
    let total = price.times(recipients as i64);
    let sent = match measured.encoding {
        Encoding::Gsm if smart => encoding::smart(&request.text).into_owned(),
        _ => request.text.clone(),
    };
    Ok(json!({
        "message": sent,
        "encoding": measured.encoding.name(),
        "characters": request.text.chars().count(),
        "units": measured.units,
        "segments": measured.segments,
        "max_segments": shared.config.max_segments,
        "recipients": recipients,
        "price_per_segment": each,
        "price": price,
        "total": total,
        "sufficient_balance": total <= context.account.balance,
    }))
}
