//! Prompts made playable: text is spoken, files are read, URLs are fetched, each once for all callers who want the same,
//! and heard while they still come.
//!
//! What was fetched is used for a while without asking; then it is asked for again by its ETag and Last-Modified, so that
//! a changed file is heard soon and an unchanged one costs one short request. One whose server is down is heard as it was.

mod shelf;

use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use opentact_media::clip::{Clip, NoRoom};
use opentact_media::file::Reader;
use reqwest::Method;
use shelf::{Kept, Key, Origin, Shelf};

use crate::decode::{Sink, receive, why};
use crate::http::{Fetch, HttpClient, HttpError, Opened, max_age};
use crate::speech::{SayRequest, Speech, SpeechError, Track};

/// Octets read of a file at once.
const PIECE: usize = 64 << 10;
/// A server may say that an answer counts for so long, no longer.
const LONGEST_FRESH: Duration = Duration::from_secs(86_400);

/// Where prompts come from and what they may take.
#[derive(Debug, Clone)]
pub struct PromptConfig {
    /// Folder that names of files are in; nothing outside of it is played.
    pub folder: PathBuf,
    /// Octets in memory of all prompts, decoded and encoded.
    pub memory: usize,
    /// Octets of one file.
    pub file: usize,
    /// How long what was fetched is used without asking again, where its server does not say.
    pub fresh: Duration,
    /// A fetch of which nothing comes for so long has failed.
    pub stall: Duration,
    /// A file, or a folder of which each who is put on hold hears the next.
    pub hold_music: Option<PathBuf>,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum PromptError {
    #[error("{url}: {error}")]
    Fetch { url: String, error: HttpError },
    #[error("{url} answered {status}")]
    Status { url: String, status: u16 },
    #[error("{name}: {reason}")]
    File { name: String, reason: String },
    #[error(transparent)]
    Speech(#[from] SpeechError),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

/// All prompts of a node. Cheap to clone.
#[derive(Clone)]
pub struct PromptLibrary {
    http: HttpClient,
    speech: Arc<dyn Speech>,
    shelf: Arc<Shelf>,
    config: Arc<PromptConfig>,
    /// Of how many the music was begun.
    held: Arc<AtomicUsize>,
}

impl PromptLibrary {
    /// # Errors
    /// No thread can be started.
    pub fn start(config: PromptConfig, http: HttpClient, speech: Arc<dyn Speech>) -> std::io::Result<Self> {
        Ok(Self { http, speech, shelf: Shelf::start(config.memory)?, config: Arc::new(config), held: Arc::default() })
    }

    /// What a call flow names: an http or https URL, a `file:` URL or the name of a file in the folder of prompts.
    ///
    /// It may still be coming; what is wrong with it is then told by whoever plays it.
    pub async fn named(&self, name: &str) -> Result<Arc<Clip>, PromptError> {
        let is_web =
            |(scheme, _): &(&str, &str)| scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        if name.split_once(':').as_ref().is_some_and(is_web) {
            return self.url(name).await;
        }
        let failed = |reason: &str| PromptError::File { name: name.to_owned(), reason: reason.to_owned() };
        let path = within(name).ok_or_else(|| failed("not a name of a file in the folder of prompts"))?;
        let (folder, path) = (self.config.folder.clone(), self.config.folder.join(path));
        // Links may not lead out of the folder either.
        let found = tokio::task::spawn_blocking(move || {
            let path = path.canonicalize().ok()?;
            path.starts_with(folder.canonicalize().ok()?).then_some(path)
        });
        match found.await {
            Ok(Some(path)) => self.file(name, &path).await,
            _ => Err(failed("no such file in the folder of prompts")),
        }
    }

    /// Speech. It may still be coming; what goes wrong after its beginning is told by whoever plays it.
    pub async fn say(&self, request: SayRequest) -> Result<Arc<Clip>, PromptError> {
        let request = request.tidied();
        let key = Key::Said(request.clone());
        let slot = self.shelf.slot(key.clone());
        let mut kept = slot.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.is_sound()) {
            return Ok(kept.clip.clone());
        }
        let spoken = self.speak(request).await;
        *kept = spoken.as_ref().ok().map(|clip| Kept { clip: clip.clone(), origin: Origin::Speech });
        drop(kept);
        self.shelf.sweep(&key);
        spoken
    }

    /// Returns with the first samples, or why there are none.
    async fn speak(&self, request: SayRequest) -> Result<Arc<Clip>, PromptError> {
        let clip = Clip::begin(self.shelf.clone());
        let (track, mut begun) = Track::new(clip.clone());
        let (speech, filling) = (self.speech.clone(), clip.clone());
        let mut speaking = Box::pin(async move {
            let end = speech.speak(request, track).await;
            filling.finish(end.clone().map_err(|error| error.to_string().into()));
            end
        });
        tokio::select! {
            end = &mut speaking => end?,
            // It goes on when the caller who was first has hung up: others may listen.
            Ok(()) = &mut begun => drop(tokio::spawn(speaking)),
        }
        Ok(clip)
    }

    /// A file of this machine, whatever folder it is in; `name` is what it is called in errors.
    pub async fn file(&self, name: &str, path: &Path) -> Result<Arc<Clip>, PromptError> {
        let failed = |reason: String| PromptError::File { name: name.to_owned(), reason };
        let key = Key::File(path.to_owned());
        let slot = self.shelf.slot(key.clone());
        let mut kept = slot.lock().await;
        let opened = {
            let (path, limit) = (path.to_owned(), self.config.file as u64);
            tokio::task::spawn_blocking(move || open(&path, limit)).await
        };
        let opened = opened.map_err(|error| error.to_string()).and_then(|opened| opened).map_err(failed);
        let (file, modified, octets) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                *kept = None;
                drop(kept);
                self.shelf.sweep(&key);
                return Err(error);
            }
        };
        let origin = Origin::File { modified, octets };
        if let Some(kept) = kept.as_ref().filter(|kept| kept.is_sound() && kept.origin == origin) {
            return Ok(kept.clip.clone());
        }
        let clip = Clip::begin(self.shelf.clone());
        *kept = Some(Kept { clip: clip.clone(), origin });
        let (name, filling) = (name.to_owned(), clip.clone());
        // Decoding a long file takes seconds of CPU: not on the async threads, and not waited for.
        tokio::task::spawn_blocking(move || {
            let end = read(file, octets, &filling).map_err(|reason| format!("{name}: {reason}").into());
            filling.finish(end);
        });
        Ok(clip)
    }

    pub fn has_hold_music(&self) -> bool {
        self.config.hold_music.is_some()
    }

    /// What the next who is put on hold hears, over and over; `None`: nothing.
    pub async fn hold_music(&self) -> Option<Arc<Clip>> {
        let place = self.config.hold_music.clone()?;
        let turn = self.held.fetch_add(1, Ordering::Relaxed);
        let name = place.display().to_string();
        let clip = match tokio::task::spawn_blocking(move || nth_file(&place, turn)).await {
            Ok(Ok(path)) => self.file(&path.display().to_string(), &path).await.map_err(|error| error.to_string()),
            Ok(Err(error)) => Err(format!("{name}: {error}")),
            Err(error) => Err(error.to_string()),
        };
        clip.inspect_err(|error| tracing::warn!(error, "no music on hold")).ok()
    }

    /// The audio of a URL. Callers who ask for one URL at the same time share one request.
    async fn url(&self, url: &str) -> Result<Arc<Clip>, PromptError> {
        let (key, called) = (Key::Url(url.to_owned()), Instant::now());
        let slot = self.shelf.slot(key.clone());
        let mut kept = slot.lock().await;
        if kept.as_ref().is_some_and(|kept| !kept.is_sound()) {
            *kept = None;
        }
        // An answer that came while this caller waited is one to it as well, however short it counts.
        if let Some(Kept { clip, origin: Origin::Web { told, until, .. } }) = &*kept
            && (called <= *told || Instant::now() < *until)
        {
            return Ok(clip.clone());
        }
        let got = self.ask(url, kept.as_ref()).await;
        let got = match got {
            Ok(got) => Ok(kept.insert(got).clip.clone()),
            Err(error) => {
                *kept = None;
                Err(error)
            }
        };
        drop(kept);
        self.shelf.sweep(&key);
        got
    }

    /// Asks for a URL, whose audio may be known already.
    async fn ask(&self, url: &str, known: Option<&Kept>) -> Result<Kept, PromptError> {
        let mut headers = vec![("accept".to_owned(), "audio/*, */*;q=0.5".to_owned())];
        let (mut known_etag, mut known_date) = (None, None);
        if let Some(Kept { origin: Origin::Web { etag, last_modified, .. }, .. }) = known {
            headers.extend(last_modified.clone().map(|date| ("if-modified-since".to_owned(), date)));
            (known_etag, known_date) = (etag.clone(), last_modified.clone());
        }
        let request = Fetch {
            url: url.to_owned(),
            method: Method::GET,
            query: Vec::new(),
            headers,
            body: None,
            timeout: Some(self.config.stall),
            limit: self.config.file,
            etag: known_etag.clone(),
        };
        let opened = self.http.open(request).await;
        let until = |opened: &Opened| {
            let said = max_age(opened.cache_control.as_deref());
            Instant::now() + said.unwrap_or(self.config.fresh).min(LONGEST_FRESH)
        };
        let again = |known: &Kept, until| {
            let origin = Origin::Web { etag: known_etag, last_modified: known_date, told: Instant::now(), until };
            Ok(Kept { clip: known.clip.clone(), origin })
        };
        let mut opened = match (opened, known) {
            (Ok(opened), Some(known)) if opened.status == 304 => return again(known, until(&opened)),
            // A prompt that was there a moment ago is not silenced by a server that is down (RFC 5861 4).
            (Ok(opened), Some(known)) if opened.status >= 500 => {
                tracing::warn!(url, status = opened.status, "prompt not refreshed");
                return again(known, Instant::now() + self.config.fresh);
            }
            (Err(error), Some(known)) => {
                tracing::warn!(url, %error, "prompt not refreshed");
                return again(known, Instant::now() + self.config.fresh);
            }
            (Err(error), None) => return Err(PromptError::Fetch { url: url.to_owned(), error }),
            (Ok(opened), _) if opened.status != 200 => {
                return Err(PromptError::Status { url: url.to_owned(), status: opened.status });
            }
            (Ok(opened), _) => opened,
        };
        let origin = Origin::Web {
            etag: opened.etag.clone(),
            last_modified: opened.last_modified.clone(),
            told: Instant::now(),
            until: until(&opened),
        };
        let clip = Clip::begin(self.shelf.clone());
        let (filling, url) = (clip.clone(), url.to_owned());
        // Goes on when the caller who was first has hung up: others may listen.
        tokio::spawn(async move {
            let received = receive(&mut opened, filling.clone()).await;
            let end = received.map(drop).map_err(|reason| format!("{url}: {reason}").into());
            if let Err(reason) = &end {
                tracing::info!(%reason, "prompt broken off");
            }
            filling.finish(end);
        });
        Ok(Kept { clip, origin })
    }
}

/// The path within the folder of prompts that a name or `file:` URL means; `None` where it leads elsewhere.
fn within(name: &str) -> Option<PathBuf> {
    let name = match name.split_once(':') {
        Some(("file", rest)) => {
            let rest = rest.strip_prefix("//").unwrap_or(rest).trim_start_matches('/');
            percent_encoding::percent_decode_str(rest).decode_utf8().ok()?.into_owned()
        }
        Some(_) => return None,
        None => name.to_owned(),
    };
    let path = PathBuf::from(name);
    let is_within = path.components().all(|part| matches!(part, Component::Normal(_)));
    (is_within && path.components().next().is_some()).then_some(path)
}

/// The file itself, or one of a folder's in the order of their names.
fn nth_file(place: &Path, turn: usize) -> std::io::Result<PathBuf> {
    if !place.is_dir() {
        return Ok(place.to_owned());
    }
    let entries = std::fs::read_dir(place)?.collect::<Result<Vec<_>, _>>()?;
    let mut files: Vec<PathBuf> = entries.iter().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort_unstable();
    match files.len() {
        0 => Err(std::io::Error::new(std::io::ErrorKind::NotFound, "no file in it")),
        count => Ok(files.swap_remove(turn % count)),
    }
}

/// The file, when it was changed, and its octets.
fn open(path: &Path, limit: u64) -> Result<(std::fs::File, Option<std::time::SystemTime>, u64), String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let meta = file.metadata().map_err(|error| error.to_string())?;
    if !meta.is_file() {
        return Err("not a file".to_owned());
    }
    if meta.len() > limit {
        return Err(format!("{} octets, at most {limit} are played", meta.len()));
    }
    Ok((file, meta.modified().ok(), meta.len()))
}

fn read(file: std::fs::File, octets: u64, clip: &Arc<Clip>) -> Result<(), String> {
    let mut reader = Reader::new();
    let mut take = |samples: &[i16], rate| clip.push(samples.into(), rate);
    let mut file = file.take(octets);
    let mut buffer = vec![0; PIECE];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return reader.finish(take).map_err(why),
            Ok(length) => reader.push(&buffer[..length], &mut take).map_err(why)?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

impl Sink for Arc<Clip> {
    type Error = NoRoom;

    fn take(&mut self, samples: &[i16], rate: u32) -> Result<(), NoRoom> {
        self.push(samples.into(), rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_the_folder() {
        for (name, path) in [
            ("hello.wav", "hello.wav"),
            ("en/hello.wav", "en/hello.wav"),
            ("file:hello.wav", "hello.wav"),
            ("file:///en/hello%20you.mp3", "en/hello you.mp3"),
        ] {
            assert_eq!(within(name), Some(PathBuf::from(path)), "{name}");
        }
        for name in
            ["", "/etc/passwd", "../x.wav", "en/../../x.wav", "file:../x", "file:%2e%2e/x", "ftp:x", "file:", "."]
        {
            assert_eq!(within(name), None, "{name}");
        }
    }
}
