//! Which voices there are, and which one a request means.

use super::espeak::{self, Espeak};
use super::flite::{self, Voice};
use super::{Gender, SayRequest, SpeechError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Flite(Voice),
    Espeak,
}

impl Engine {
    pub fn name(self) -> &'static str {
        match self {
            Engine::Flite(_) => "flite",
            Engine::Espeak => "espeak-ng",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoiceInfo {
    /// What `<Say code>` takes.
    pub code: String,
    /// For people.
    pub name: String,
    pub gender: Gender,
    /// BCP 47.
    pub lang: String,
    pub engine: Engine,
    /// Natural rate, samples per second.
    pub rate: u32,
}

/// Every voice; without espeak-ng those of flite only.
pub(super) async fn all(espeak: &Espeak) -> Vec<VoiceInfo> {
    let mut voices = flite_voices();
    if let Ok(languages) = espeak.languages().await {
        voices.extend(languages.iter().flat_map(|language| {
            [Gender::Female, Gender::Male].map(|gender| espeak_voice(&language.tag, &language.name, gender))
        }));
    }
    voices
}

pub(super) async fn choose(request: &SayRequest, espeak: &Espeak) -> Result<VoiceInfo, SpeechError> {
    if let Some(code) = &request.code {
        let found = |voice: &VoiceInfo| voice.code.eq_ignore_ascii_case(code);
        if let Some(voice) = flite_voices().into_iter().find(found) {
            return Ok(voice);
        }
        // A code of espeak-ng's says so, and then it matters whether the program is there.
        if code.to_ascii_lowercase().starts_with("espeak-") {
            espeak.languages().await?;
        }
        return all(espeak).await.into_iter().find(found).ok_or_else(|| SpeechError::NoSuchVoice(code.clone()));
    }
    let tag = request.lang.trim().replace('_', "-").to_ascii_lowercase();
    if matches!(tag.as_str(), "" | "en" | "en-us") {
        let wanted = |voice: &VoiceInfo| voice.gender == request.gender;
        if let Some(voice) = flite_voices().into_iter().find(wanted) {
            return Ok(voice);
        }
    }
    let languages = espeak.languages().await?;
    let language =
        candidates(&tag).iter().find_map(|tag| languages.iter().find(|language| language.tag == *tag)).or_else(|| {
            let primary = format!("{}-", tag.split('-').next().unwrap_or_default());
            languages.iter().find(|language| language.tag.starts_with(&primary))
        });
    match language {
        Some(language) => Ok(espeak_voice(&language.tag, &language.name, request.gender)),
        None => {
            let gender = match request.gender {
                Gender::Female => "female",
                Gender::Male => "male",
            };
            Err(SpeechError::NoVoiceFor { lang: request.lang.clone(), gender })
        }
    }
}

fn flite_voices() -> Vec<VoiceInfo> {
    [(Voice::Slt, "slt", Gender::Female), (Voice::Rms, "rms", Gender::Male)]
        .map(|(voice, name, gender)| VoiceInfo {
            code: format!("flite-{name}"),
            name: format!("US English, CMU {name}"),
            gender,
            lang: "en-US".into(),
            engine: Engine::Flite(voice),
            rate: flite::RATE,
        })
        .into()
}

fn espeak_voice(tag: &str, name: &str, gender: Gender) -> VoiceInfo {
    let letter = match gender {
        Gender::Female => 'f',
        Gender::Male => 'm',
    };
    VoiceInfo {
        code: format!("espeak-{tag}-{letter}"),
        name: format!("{name}, eSpeak"),
        gender,
        lang: tag.to_owned(),
        engine: Engine::Espeak,
        rate: espeak::RATE,
    }
}

/// The tags to look for, best first: the tag, what espeak-ng calls it, then ever shorter.
fn candidates(tag: &str) -> Vec<String> {
    let mut candidates = Vec::new();
    let mut rest = tag;
    loop {
        candidates.push(rest.to_owned());
        let alias = match rest {
            "zh" | "zh-cn" | "cmn-cn" | "cmn-hans" | "zh-hans" => Some("cmn"),
            "zh-hk" | "yue-hk" => Some("yue"),
            "no" => Some("nb"),
            "iw" => Some("he"),
            "in" => Some("id"),
            "es-us" | "es-mx" | "es-ar" | "es-co" | "es-cl" | "es-pe" => Some("es-419"),
            "fr" => Some("fr-fr"),
            "en-au" | "en-nz" | "en-ie" | "en-in" | "en-za" => Some("en-gb"),
            "en-ca" => Some("en-us"),
            "vi-vn" => Some("vi"),
            _ => None,
        };
        candidates.extend(alias.map(str::to_owned));
        let Some((shorter, _)) = rest.rsplit_once('-') else { return candidates };
        rest = shorter;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_found_by_what_espeak_calls_them() {
        assert_eq!(candidates("de-at"), ["de-at", "de"]);
        assert_eq!(candidates("zh-tw"), ["zh-tw", "zh", "cmn"]);
        assert_eq!(candidates("fr-ca"), ["fr-ca", "fr", "fr-fr"]);
        assert_eq!(candidates("es-mx"), ["es-mx", "es-419", "es"]);
    }
}
