//! SIP over TCP: framing, connection reuse, CRLF keep-alive (RFC 5626 4.4.1).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentact_sip::flow::{Flow, Transport};
use opentact_sip::message::{Frame, StreamFramer};
use socket2::{Domain, Protocol, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Inbound, Transports};

#[derive(Debug, Clone, Copy)]
pub struct TcpLimits {
    /// Open connections; one more is closed at once.
    pub connections: usize,
    /// Octets of one message.
    pub message: usize,
    /// Messages that wait for a slow reader; one more closes the connection.
    pub write_queue: usize,
    /// A connection that is silent for longer is closed.
    pub idle: Duration,
    /// Until a connection to a peer must be up.
    pub connect: Duration,
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            message: 65_535,
            write_queue: 256,
            idle: Duration::from_secs(600),
            connect: Duration::from_secs(5),
        }
    }
}

/// An open (or opening) connection: its writer's queue. Dropping it closes the connection.
pub(super) struct Connection {
    pub(super) flow: Flow,
    writer: mpsc::Sender<Bytes>,
    stop: CancellationToken,
}

impl Connection {
    pub(super) fn send(&self, bytes: Bytes) -> bool {
        self.writer.try_send(bytes).is_ok()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    TcpListener::from_std(socket.into())
}

pub(super) async fn accept(listener: TcpListener, transports: Arc<Transports>) {
    loop {
        let accepted = tokio::select! {
            () = transports.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, remote)) => {
                if transports.connections.len() >= transports.limits.connections {
                    metrics::counter!("opentact_sip_connections_refused_total").increment(1);
                    continue;
                }
                let Ok(local) = stream.local_addr() else { continue };
                let (flow, queue, stop) = register(&transports, local, remote);
                tokio::spawn(run(transports.clone(), stream, flow, queue, stop));
            }
            Err(error) => {
                // EMFILE and the like: wait for connections to close rather than spin.
                tracing::warn!(%error, "SIP TCP accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Opens a connection; messages sent meanwhile wait in its queue.
pub(super) fn connect(transports: &Arc<Transports>, remote: SocketAddr) -> Option<Flow> {
    let local = *transports.tcp.iter().find(|local| local.is_ipv4() == remote.is_ipv4())?;
    if transports.connections.len() >= transports.limits.connections {
        return None;
    }
    let (flow, queue, stop) = register(transports, local, remote);
    let transports = transports.clone();
    tokio::spawn(async move {
        let connecting = tokio::time::timeout(transports.limits.connect, TcpStream::connect(remote));
        match connecting.await {
            Ok(Ok(stream)) => run(transports, stream, flow, queue, stop).await,
            Ok(Err(error)) => fail(&transports, flow, &error.to_string()).await,
            Err(_) => fail(&transports, flow, "connect timed out").await,
        }
    });
    Some(flow)
}

fn register(
    transports: &Arc<Transports>,
    local: SocketAddr,
    remote: SocketAddr,
) -> (Flow, mpsc::Receiver<Bytes>, CancellationToken) {
    let flow = Flow { transport: Transport::Tcp, local, remote, connection: transports.next_connection() };
    let (writer, queue) = mpsc::channel(transports.limits.write_queue);
    let stop = transports.stop.child_token();
    transports.connections.insert(flow.connection, Connection { flow, writer, stop: stop.clone() });
    (flow, queue, stop)
}

async fn fail(transports: &Transports, flow: Flow, reason: &str) {
    tracing::debug!(remote = %flow.remote, reason, "SIP TCP connection ended");
    transports.connections.remove(&flow.connection);
    let _ = transports.inbox.send(Inbound::Failed { flow }).await;
}

async fn run(
    transports: Arc<Transports>,
    stream: TcpStream,
    flow: Flow,
    queue: mpsc::Receiver<Bytes>,
    stop: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let (reader, writer) = stream.into_split();
    let writing = tokio::spawn(write(writer, queue));
    let reason = tokio::select! {
        () = stop.cancelled() => "closed".to_owned(),
        reason = read(&transports, reader, flow) => reason,
    };
    // Dropping the queue's sender lets the writer finish what it holds.
    fail(&transports, flow, &reason).await;
    let _ = writing.await;
}

async fn write(mut stream: OwnedWriteHalf, mut queue: mpsc::Receiver<Bytes>) {
    while let Some(bytes) = queue.recv().await {
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
    let _ = stream.shutdown().await;
}

/// Reads messages until the peer ends, errs or is silent for too long; says which.
async fn read(transports: &Transports, mut stream: OwnedReadHalf, flow: Flow) -> String {
    let mut framer = StreamFramer::new(transports.limits.message);
    let mut buffer = vec![0_u8; 16 * 1024];
    loop {
        let length = match tokio::time::timeout(transports.limits.idle, stream.read(&mut buffer)).await {
            Err(_) => return "idle".to_owned(),
            Ok(Err(error)) => return error.to_string(),
            Ok(Ok(0)) => return "peer closed".to_owned(),
            Ok(Ok(length)) => length,
        };
        framer.push(&buffer[..length]);
        while let Some(frame) = framer.next() {
            match frame {
                Ok(Frame::Message(bytes)) => {
                    if transports.inbox.send(Inbound::Message { bytes, flow }).await.is_err() {
                        return "stopping".to_owned();
                    }
                }
                Ok(Frame::KeepAlive) => {
                    if let Some(connection) = transports.connections.get(&flow.connection) {
                        connection.send(Bytes::from_static(b"\r\n"));
                    }
                }
                // After a framing error nobody knows where the next message starts.
                Err(error) => return format!("framing: {error}"),
            }
        }
    }
}
