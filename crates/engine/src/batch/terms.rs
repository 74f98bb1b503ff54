//! What a batch's row says, as its machine and its calls take it.

use std::time::Duration;

use opentact_call::batch::{Plan, Retries, Window};
use opentact_call::{Q850, Record, RecordFormat};
use opentact_callflow::Mode;
use opentact_store::batches::{Batch, ScheduleTerms, Terms};
use opentact_store::types;

use crate::ports::{FlowSource, Originate};

/// How it is called; `Err`: why it cannot be.
pub(super) fn plan(batch: &Batch) -> Result<Plan, String> {
    let terms = &batch.terms;
    let schedule = |schedule: &ScheduleTerms| {
        let ScheduleTerms { from, to, days, time_zone } = schedule;
        let window = Window::new(from.as_deref(), to.as_deref(), days, time_zone);
        window.map_err(|wrong| format!("schedule.{wrong} cannot be kept"))
    };
    Ok(Plan {
        per_second: terms.cps.max(0.001),
        max_concurrent: terms.max_concurrent.max(1),
        expires: batch.expires_on,
        window: terms.schedule.as_ref().map(schedule).transpose()?,
        retries: Retries {
            max: terms.retries.max,
            delay: Duration::from_secs(terms.retries.delay),
            on: terms.retries.on.iter().filter_map(|cause| Q850::new(*cause)).collect(),
        },
    })
}

/// The call to each number, but for the number; `Err`: why there can be none.
pub(super) fn call(batch: &Batch) -> Result<Originate, String> {
    let terms = &batch.terms;
    Ok(Originate {
        from: terms.from.clone(),
        tn_lease: terms.tn_lease,
        outbound_voice_profile: terms.outbound_voice_profile,
        sip_connection: terms.sip_connection,
        timeout: Duration::from_secs(terms.timeout),
        max_length: terms.max_length.map(Duration::from_secs),
        record: terms.record.as_ref().map(|record| Record {
            channels: record.channels,
            format: match record.format {
                types::RecordFormat::Wav => RecordFormat::Wav,
                types::RecordFormat::Mp3 => RecordFormat::Mp3,
            },
            ..Record::background(record.tag.clone())
        }),
        amd: terms.amd.clone().map(serde_json::from_value).transpose().map_err(|error| format!("amd: {error}"))?,
        meta: terms.meta.clone(),
        ..Originate::new(batch.account, String::new(), flow(terms)?)
    })
}

fn flow(terms: &Terms) -> Result<FlowSource, String> {
    Ok(match (&terms.xml, terms.sip_control_app, &terms.call_flow_url) {
        (Some(xml), _, _) => {
            let document = opentact_callflow::parse(xml, Mode::Strict);
            FlowSource::Document(
                document.map_err(|faults| faults.first().map(ToString::to_string).unwrap_or_default())?,
            )
        }
        (_, Some(app), _) => FlowSource::App(app),
        (_, _, Some(url)) => FlowSource::Url(url.clone()),
        _ => FlowSource::Park,
    })
}
