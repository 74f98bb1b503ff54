//! Audio files that come by HTTP, decoded as they come.

use opentact_media::file::{Reader, Stopped};

use crate::http::Opened;

/// Takes what is decoded.
pub(crate) trait Sink: Send + 'static {
    type Error: std::fmt::Display;

    /// Mono samples of `rate` per second. An error ends it.
    fn take(&mut self, samples: &[i16], rate: u32) -> Result<(), Self::Error>;
}

/// Hands the whole of an answer to a sink, which it gives back.
///
/// # Errors
/// What is wrong with the file, or with the way here, for a person to read.
pub(crate) async fn receive<S: Sink>(opened: &mut Opened, mut sink: S) -> Result<S, String> {
    let mut reader = Reader::new();
    loop {
        let octets = opened.next().await.map_err(|error| error.to_string())?;
        let is_last = octets.is_none();
        // In its turn: nothing more is read of the connection before it is decoded.
        let decoded = tokio::task::spawn_blocking(move || {
            let take = |samples: &[i16], rate| sink.take(samples, rate);
            let pushed = match octets {
                Some(octets) => reader.push(&octets, take),
                None => reader.finish(take),
            };
            pushed.map_err(why)?;
            Ok::<_, String>((reader, sink))
        });
        (reader, sink) = decoded.await.map_err(|error| error.to_string())??;
        if is_last {
            return Ok(sink);
        }
    }
}

pub(crate) fn why<E: std::fmt::Display>(stopped: Stopped<E>) -> String {
    match stopped {
        Stopped::File(error) => error.to_string(),
        Stopped::Refused(error) => error.to_string(),
    }
}
