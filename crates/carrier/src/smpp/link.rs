//! One SMPP session over one TCP connection.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use opentact_messaging::smpp::{Config, Event, Input, Output, Session};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Octets that may wait to be written before reading stops: a peer that asks and does not read gets no more answers
/// made, and its session ends by its timers.
const WRITE_LIMIT: usize = 256 * 1024;
const READ_SIZE: usize = 16 * 1024;
/// How long the last octets may take.
const LINGER: Duration = Duration::from_secs(1);

/// TCP, or TLS over it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Whom an ESME trusts, for an SMSC that is reached over TLS.
#[derive(Debug, Clone)]
pub struct ClientTls(pub Arc<ClientConfig>);

impl ClientTls {
    /// `host` stands in the certificate.
    pub(crate) async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<Box<dyn Stream>> {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(Box::new(TlsConnector::from(self.0.clone()).connect(name, stream).await?))
    }
}

/// Pumps octets between a session and its socket.
pub(crate) struct Link {
    session: Session,
    read: ReadHalf<Box<dyn Stream>>,
    write: WriteHalf<Box<dyn Stream>>,
    incoming: BytesMut,
    outgoing: BytesMut,
    /// Over TLS octets are on their way only once they are flushed.
    is_flushed: bool,
    /// The session is over; what is left to write may take until then.
    closing: Option<Instant>,
}

impl Link {
    pub(crate) fn new(stream: TcpStream, config: Config) -> io::Result<Link> {
        stream.set_nodelay(true)?;
        Ok(Link::over(Box::new(stream), config))
    }

    pub(crate) fn over(stream: Box<dyn Stream>, config: Config) -> Link {
        let (read, write) = tokio::io::split(stream);
        Link {
            session: Session::new(Instant::now(), config),
            read,
            write,
            incoming: BytesMut::with_capacity(READ_SIZE),
            outgoing: BytesMut::new(),
            is_flushed: true,
            closing: None,
        }
    }

    pub(crate) fn handle(&mut self, input: Input<'_>) {
        self.session.handle(Instant::now(), input);
    }

    /// The next event; `None` once the connection is closed. May be dropped at any time and called again.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some(output) = self.session.poll() {
                match output {
                    Output::Transmit(octets) => self.outgoing.extend_from_slice(&octets),
                    Output::Close => self.closing = Some(Instant::now() + LINGER),
                    Output::Event(event) => return Some(event),
                }
            }
            let was_empty = self.outgoing.is_empty();
            let is_written = was_empty && self.is_flushed;
            if self.closing.is_some_and(|until| is_written || Instant::now() >= until) {
                // The peer may be gone already; there is nothing left to tell it.
                let _ = self.write.shutdown().await;
                return None;
            }
            let deadline = self.closing.or_else(|| self.session.deadline());
            // Without a deadline the session is closed, and then `closing` is set.
            let sleep = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now).into());
            let may_read = self.closing.is_none() && self.outgoing.len() < WRITE_LIMIT;
            tokio::select! {
                read = self.read.read_buf(&mut self.incoming), if may_read => match read {
                    Ok(0) | Err(_) => self.handle(Input::Disconnected),
                    Ok(_) => {
                        let octets = self.incoming.split();
                        self.handle(Input::Received(&octets));
                    }
                },
                written = some_of(&mut self.write, &mut self.outgoing), if !is_written => match written {
                    Ok(()) => self.is_flushed = was_empty,
                    Err(_) => {
                        self.outgoing.clear();
                        self.is_flushed = true;
                        self.handle(Input::Disconnected);
                    }
                },
                () = sleep => self.handle(Input::Timeout),
            }
        }
    }
}

/// Writes some of what there is, or flushes when nothing is left. May be dropped at any time and called again.
async fn some_of(write: &mut WriteHalf<Box<dyn Stream>>, outgoing: &mut BytesMut) -> io::Result<()> {
    if outgoing.is_empty() {
        return write.flush().await;
    }
    match write.write_buf(outgoing).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        _ => Ok(()),
    }
}
