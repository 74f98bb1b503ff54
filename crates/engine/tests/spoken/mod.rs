//! A library of prompts, and what it says as samples.
#![allow(dead_code)] // each test binary uses its part
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use opentact_engine::http::{EgressGuard, HttpClient};
use opentact_engine::prompt::{PromptConfig, PromptError, PromptLibrary};
use opentact_engine::speech::{SayRequest, SpeechConfig, SpeechEngines};
use opentact_media::Clip;

pub fn library(folder: &Path, change: impl FnOnce(&mut PromptConfig)) -> PromptLibrary {
    library_of(folder, SpeechConfig::default(), change)
}

pub fn library_of(folder: &Path, speech: SpeechConfig, change: impl FnOnce(&mut PromptConfig)) -> PromptLibrary {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = HttpClient::new(EgressGuard::new(vec!["127.0.0.0/8".parse().unwrap()]), "test").unwrap();
    let mut config = PromptConfig {
        folder: folder.to_owned(),
        memory: 1 << 26,
        file: 1 << 20,
        fresh: Duration::from_secs(60),
        stall: Duration::from_secs(20),
        hold_music: None,
    };
    change(&mut config);
    PromptLibrary::start(config, http, Arc::new(SpeechEngines::new(speech).unwrap())).unwrap()
}

/// How a clip ends, once it has.
pub async fn end(clip: &Clip) -> Result<(), Arc<str>> {
    loop {
        match clip.end() {
            Some(end) => return end.clone(),
            None => tokio::task::yield_now().await,
        }
    }
}

/// All that is said, and its rate.
pub async fn whole(library: &PromptLibrary, request: SayRequest) -> Result<(Vec<i16>, u32), PromptError> {
    let clip = library.say(request).await?;
    assert_eq!(end(&clip).await, Ok(()));
    Ok((clip.samples(), clip.rate().unwrap_or_default()))
}
