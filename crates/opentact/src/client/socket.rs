//! The event websocket as a client sees it.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};
use url::Url;

/// An authenticated event websocket.
pub struct EventSocket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl EventSocket {
    /// # Errors
    /// When the server cannot be reached, or closes instead of answering `auth`.
    pub async fn open(url: &Url, tls: Arc<rustls::ClientConfig>, token: &str) -> anyhow::Result<Self> {
        let connector = Some(Connector::Rustls(tls));
        let (stream, _) = connect_async_tls_with_config(url.as_str(), None, true, connector)
            .await
            .with_context(|| format!("opening {url}"))?;
        let mut socket = Self { stream };
        let frame = json!({"type": "auth", "payload": token});
        socket.stream.send(Message::text(frame.to_string())).await?;
        match socket.next().await? {
            Some(answer) if answer["type"] == "auth" => Ok(socket),
            Some(answer) => bail!("expected the answer to auth, got {answer}"),
            None => bail!("the server closed the websocket"),
        }
    }

    /// The next event; `None` once the server has closed in order.
    ///
    /// # Errors
    /// A broken connection, a close for a fault (4401, 4408), a frame that is no JSON.
    pub async fn next(&mut self) -> anyhow::Result<Option<Value>> {
        while let Some(frame) = self.stream.next().await {
            match frame? {
                Message::Text(text) => return Ok(Some(serde_json::from_str(&text)?)),
                Message::Close(Some(close)) if u16::from(close.code) >= 4000 => {
                    bail!("the server closed the websocket: {} {}", u16::from(close.code), close.reason);
                }
                Message::Close(_) => return Ok(None),
                _ => {}
            }
        }
        Ok(None)
    }
}
