//! Dictionaries: time zones, countries, voices, the LERG.

mod country;
mod lerg;
mod time_zone;

use axum::extract::State;
use opentact_callflow::Gender;
use opentact_engine::speech::VoiceInfo;
use opentact_store::types::now;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use country::find as country;

use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, ok};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(time_zones))
        .routes(routes!(countries))
        .routes(routes!(voices))
        .routes(routes!(lerg::states))
        .routes(routes!(lerg::rate_centers))
        .routes(routes!(lerg::upload, lerg::progress))
}

/// All time zones, with their offsets from UTC in hours this year.
#[utoipa::path(get, path = "/rest/dict/tz", operation_id = "ListDictTimeZone", tag = "dictionary",
    responses((status = 200, body = Envelope<Vec<model::TimeZone>>), Faults))]
async fn time_zones(_: Caller) -> Reply {
    ok(time_zone::all(now()))
}

/// All countries of ISO 3166-1, with their telephone country codes.
#[utoipa::path(get, path = "/rest/dict/country", operation_id = "ListDictCountry", tag = "dictionary",
    responses((status = 200, body = Envelope<Vec<model::Country>>), Faults))]
async fn countries(_: Caller) -> Reply {
    ok(country::all())
}

/// The voices that `<Say>` can speak with, of all engines that are there.
///
/// `<Say code="…">` takes a voice by its `code`; without one the first of the language, gender and `type` is taken.
#[utoipa::path(get, path = "/rest/dict/gtts", operation_id = "ListDictGTTSVoices", tag = "dictionary",
    responses((status = 200, body = Envelope<Vec<model::Voice>>), Faults))]
async fn voices(State(state): State<ApiState>, _: Caller) -> Reply {
    ok(state.speech.voices().await.iter().map(voice).collect::<Vec<_>>())
}

fn voice(voice: &VoiceInfo) -> Value {
    let gender = match voice.gender {
        Gender::Female => "FEMALE",
        Gender::Male => "MALE",
    };
    json!({
        "type": voice.kind,
        "code": voice.code,
        "name": voice.name,
        "gender": gender,
        "lang": voice.lang,
        "engine": voice.engine.name(),
        "naturalSampleRateHertz": voice.rate,
    })
}
