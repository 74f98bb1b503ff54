//! Which voices there are, and which one a request means.

use super::flite::{self, Voice};
use super::{Gender, RemoteVoice, SayRequest, SpeechEngines, SpeechError, espeak, festival, remote};

/// `type` of voices: the plain ones, and those that sound better.
const STANDARD: &str = "Standard";
const WAVENET: &str = "WaveNet";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Flite(Voice),
    Festival,
    Espeak,
    /// A server's.
    Remote,
}

impl Engine {
    pub fn name(self) -> &'static str {
        match self {
            Engine::Flite(_) => flite::NAME,
            Engine::Festival => festival::NAME,
            Engine::Espeak => espeak::NAME,
            Engine::Remote => remote::NAME,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoiceInfo {
    /// What `<Say code>` takes.
    pub code: String,
    /// For people.
    pub name: String,
    /// `Standard` or `WaveNet`.
    pub kind: &'static str,
    pub gender: Gender,
    /// BCP 47.
    pub lang: String,
    pub engine: Engine,
    /// Natural rate, samples per second.
    pub rate: u32,
}

impl SpeechEngines {
    /// Every voice, those of engines that are not there left out.
    pub(super) async fn all(&self) -> Vec<VoiceInfo> {
        let mut voices = self.server();
        voices.extend(flite_voices());
        if self.festival.is_there().await {
            voices.push(festival_voice());
        }
        if let Ok(languages) = self.espeak.languages().await {
            voices.extend(languages.iter().flat_map(|language| {
                [Gender::Female, Gender::Male].map(|gender| espeak_voice(&language.tag, &language.name, gender))
            }));
        }
        voices
    }

    pub(super) async fn choose(&self, request: &SayRequest) -> Result<VoiceInfo, SpeechError> {
        if let Some(code) = &request.code {
            return self.by_code(code).await;
        }
        let tag = request.lang.trim().replace('_', "-").to_ascii_lowercase();
        let better = request.kind.eq_ignore_ascii_case(WAVENET);
        let of_server = |fits: &dyn Fn(&str) -> bool| {
            let fits = |voice: &VoiceInfo| voice.gender == request.gender && fits(&voice.lang.to_ascii_lowercase());
            self.server().into_iter().find(fits)
        };
        if better
            && let Some(voice) =
                of_server(&|lang| lang == tag).or_else(|| of_server(&|lang| primary(lang) == primary(&tag)))
        {
            return Ok(voice);
        }
        if matches!(tag.as_str(), "" | "en" | "en-us") {
            if better && request.gender == Gender::Female && self.festival.is_there().await {
                return Ok(festival_voice());
            }
            if let Some(voice) = flite_voices().into_iter().find(|voice| voice.gender == request.gender) {
                return Ok(voice);
            }
        }
        match self.of_espeak(&tag, request.gender).await {
            Ok(Some(voice)) => Ok(voice),
            spoken_here => {
                // A language, or a program, that is not here: the server may have it.
                if let Some(voice) = of_server(&|lang| primary(lang) == primary(&tag)) {
                    return Ok(voice);
                }
                spoken_here?;
                let gender = match request.gender {
                    Gender::Female => "female",
                    Gender::Male => "male",
                };
                Err(SpeechError::NoVoiceFor { lang: request.lang.clone(), gender })
            }
        }
    }

    async fn by_code(&self, code: &str) -> Result<VoiceInfo, SpeechError> {
        let found = |voice: &VoiceInfo| voice.code.eq_ignore_ascii_case(code);
        if let Some(voice) = self.server().into_iter().chain(flite_voices()).find(found) {
            return Ok(voice);
        }
        // A code of a program's says so, and then it matters whether the program is there.
        if code.eq_ignore_ascii_case(FESTIVAL_CODE) {
            return Ok(festival_voice());
        }
        if code.to_ascii_lowercase().starts_with("espeak-") {
            self.espeak.languages().await?;
        }
        self.all().await.into_iter().find(found).ok_or_else(|| SpeechError::NoSuchVoice(code.to_owned()))
    }

    async fn of_espeak(&self, tag: &str, gender: Gender) -> Result<Option<VoiceInfo>, SpeechError> {
        let languages = self.espeak.languages().await?;
        let language = candidates(tag)
            .iter()
            .find_map(|tag| languages.iter().find(|language| language.tag == *tag))
            .or_else(|| {
                let primary = format!("{}-", primary(tag));
                languages.iter().find(|language| language.tag.starts_with(&primary))
            });
        Ok(language.map(|language| espeak_voice(&language.tag, &language.name, gender)))
    }

    fn server(&self) -> Vec<VoiceInfo> {
        self.remote.iter().flat_map(|remote| remote.voices()).map(server_voice).collect()
    }
}

fn primary(tag: &str) -> &str {
    tag.split('-').next().unwrap_or_default()
}

fn server_voice(voice: &RemoteVoice) -> VoiceInfo {
    VoiceInfo {
        code: voice.name.clone(),
        name: voice.name.clone(),
        kind: WAVENET,
        gender: voice.gender,
        lang: voice.lang.clone(),
        engine: Engine::Remote,
        rate: remote::RATE,
    }
}

fn flite_voices() -> Vec<VoiceInfo> {
    [(Voice::Slt, "slt", Gender::Female), (Voice::Rms, "rms", Gender::Male)]
        .map(|(voice, name, gender)| VoiceInfo {
            code: format!("flite-{name}"),
            name: format!("US English, CMU {name}"),
            kind: STANDARD,
            gender,
            lang: "en-US".into(),
            engine: Engine::Flite(voice),
            rate: flite::RATE,
        })
        .into()
}

const FESTIVAL_CODE: &str = "festival-slt";

fn festival_voice() -> VoiceInfo {
    VoiceInfo {
        code: FESTIVAL_CODE.into(),
        name: "US English, CMU slt (HTS)".into(),
        kind: WAVENET,
        gender: Gender::Female,
        lang: "en-US".into(),
        engine: Engine::Festival,
        rate: festival::RATE,
    }
}

fn espeak_voice(tag: &str, name: &str, gender: Gender) -> VoiceInfo {
    let letter = match gender {
        Gender::Female => 'f',
        Gender::Male => 'm',
    };
    VoiceInfo {
        code: format!("espeak-{tag}-{letter}"),
        name: format!("{name}, eSpeak"),
        kind: STANDARD,
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
