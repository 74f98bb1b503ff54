//! `sip.sock` in the data folder: the node's SIP messages as they come and go, for `opentact sip trace`.
//!
//! A Unix socket that only the server's own user may open: the messages are those of all accounts. One JSON object a line;
//! what a client sends is not read.

use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use opentact_engine::ports::SipMessage;
use opentact_engine::trace::{Seen, SipWatch};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// Clients at once; a further one is told so.
const WATCHERS: usize = 8;

/// What is said on the socket.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// Messages from now on follow.
    Watching,
    Message {
        at: DateTime<Utc>,
        outgoing: bool,
        transport: String,
        local: SocketAddr,
        remote: SocketAddr,
        call_id: String,
        /// Base64.
        octets: String,
    },
    Skipped(u64),
    /// Nothing follows.
    Refused(String),
}

impl From<Seen> for Line {
    fn from(seen: Seen) -> Self {
        match seen {
            Seen::Skipped(messages) => Self::Skipped(messages),
            Seen::Message(message) => Self::Message {
                at: message.at,
                outgoing: message.direction == "out",
                transport: message.transport.to_owned(),
                local: message.local,
                remote: message.remote,
                call_id: message.call_id,
                octets: STANDARD.encode(&message.octets),
            },
        }
    }
}

impl Line {
    fn seen(self) -> anyhow::Result<Seen> {
        Ok(match self {
            Self::Refused(reason) => bail!("{reason}"),
            Self::Watching => bail!("the server greets twice"),
            Self::Skipped(messages) => Seen::Skipped(messages),
            Self::Message { at, outgoing, transport, local, remote, call_id, octets } => Seen::Message(SipMessage {
                at,
                direction: if outgoing { "out" } else { "in" },
                transport: TRANSPORTS.into_iter().find(|known| *known == transport).unwrap_or("?"),
                local,
                remote,
                call_id,
                octets: STANDARD.decode(octets)?.into(),
            }),
        })
    }
}

/// As Via has them.
const TRANSPORTS: [&str; 5] = ["UDP", "TCP", "TLS", "WS", "WSS"];

fn path(data: &Path) -> PathBuf {
    data.join("sip.sock")
}

/// The socket while its server runs.
#[derive(Debug)]
pub struct WatchSocket {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl WatchSocket {
    /// # Errors
    /// What the file system says; a path of more than 107 octets cannot be that of a socket.
    pub fn open(data: &Path, watch: SipWatch) -> io::Result<Self> {
        let path = path(data);
        // Nobody else finds it by its name before it is the owner's only.
        let beside = path.with_extension("new");
        match std::fs::remove_file(&beside) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
            _ => {}
        }
        let listener = UnixListener::bind(&beside)?;
        std::fs::set_permissions(&beside, Permissions::from_mode(0o600))?;
        std::fs::rename(&beside, &path)?;
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, watch.clone()));
            }
        });
        Ok(Self { path, task })
    }
}

impl Drop for WatchSocket {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Ends with the client, or with the node.
async fn serve(stream: UnixStream, watch: SipWatch) {
    let (reader, mut writer) = stream.into_split();
    if watch.watchers() >= WATCHERS {
        let _ = write(&mut writer, &Line::Refused(format!("{WATCHERS} others are watching already"))).await;
        return;
    }
    let mut watcher = watch.watch();
    if write(&mut writer, &Line::Watching).await.is_err() {
        return;
    }
    let mut gone = BufReader::new(reader).lines();
    loop {
        tokio::select! {
            _ = gone.next_line() => return,
            seen = watcher.next() => {
                let Some(seen) = seen else { return };
                if write(&mut writer, &seen.into()).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn write(writer: &mut (impl tokio::io::AsyncWrite + Unpin), line: &Line) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    Ok(writer.write_all(&text).await?)
}

/// The socket as `opentact sip trace` reads it.
pub struct Watching {
    lines: Lines<BufReader<UnixStream>>,
}

impl Watching {
    /// # Errors
    /// When no server runs on the data folder, it is another user's, or has watchers enough.
    pub async fn connect(data: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(path(data))
            .await
            .with_context(|| format!("no server is to be watched on the data folder {}", data.display()))?;
        let mut lines = BufReader::new(stream).lines();
        let greeting = lines.next_line().await?.context("the server has ended")?;
        match serde_json::from_str(&greeting)? {
            Line::Watching => Ok(Self { lines }),
            other => bail!("expected a greeting, got {:?}", other.seen()?),
        }
    }

    /// What comes next; `None` once the server has ended.
    ///
    /// # Errors
    /// When the server says what is none of its lines.
    pub async fn next(&mut self) -> anyhow::Result<Option<Seen>> {
        match self.lines.next_line().await? {
            Some(line) => Ok(Some(serde_json::from_str::<Line>(&line)?.seen()?)),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_over_as_it_was() {
        let message = SipMessage {
            at: Utc::now(),
            direction: "out",
            transport: "TLS",
            local: "127.0.0.1:5061".parse().unwrap(),
            remote: "[::1]:5070".parse().unwrap(),
            call_id: "a@b".to_owned(),
            octets: vec![b'B', 0, 0xff].into(),
        };
        for seen in [Seen::Message(message), Seen::Skipped(3)] {
            let text = serde_json::to_string(&Line::from(seen.clone())).unwrap();
            assert_eq!(serde_json::from_str::<Line>(&text).unwrap().seen().unwrap(), seen);
        }
        assert!(Line::Refused("enough".to_owned()).seen().is_err());
    }
}
