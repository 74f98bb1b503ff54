//! How the audio of a leg was, as it is shown.

use opentact_media::LegStats;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::Core;
use opentact_call::LegId;

/// The measurements of a leg. Two decimals are more than they are worth.
pub(crate) fn view(stats: &LegStats) -> Value {
    let round = |value: f32| (f64::from(value) * 100.0).round() / 100.0;
    let rounded = |value: Option<f32>| value.map(round);
    json!({
        "codec": stats.codec.map(|codec| codec.name()),
        "packets_sent": stats.packets_sent,
        "packets_received": stats.packets_received,
        "packets_lost": stats.packets_lost,
        "packets_reordered": stats.packets_reordered,
        "packets_duplicate": stats.packets_duplicate,
        "packets_discarded": stats.packets_discarded,
        "jitter_ms": round(stats.jitter_ms),
        "max_jitter_ms": round(stats.max_jitter_ms),
        "round_trip_ms": rounded(stats.round_trip_ms),
        "mos": rounded(stats.mos),
        "lowest_mos": rounded(stats.lowest_mos),
        "transcoding": stats.playout.map(|playout| json!({
            "delay_ms": stats.jitter_buffer_ms,
            "concealed_ms": playout.concealed_us / 1000,
            "packets_late": playout.late,
            "packets_dropped": playout.dropped,
        })),
        "remote": stats.remote_mos.map(|mos| json!({
            "packets_lost": stats.remote_lost,
            "jitter_ms": rounded(stats.remote_jitter_ms),
            "mos": round(mos),
        })),
        "dtmf_received": stats.dtmf_received,
    })
}

impl Core {
    /// Asks the legs of a call that have media how it is; of a dialled leg only its own.
    pub(super) fn measure(&self, account: Uuid, call: LegId) -> Vec<(Uuid, oneshot::Receiver<LegStats>)> {
        let Some((origin, entry)) = self.find(account, call) else { return Vec::new() };
        let asked = entry.book.open().filter(|leg| origin == call || *leg == call);
        let media = asked.filter_map(|leg| Some((leg, self.legs.get(&leg)?.media.as_ref()?.key)));
        media.map(|(leg, key)| (leg.0, self.drivers.media.measure(key))).collect()
    }
}
