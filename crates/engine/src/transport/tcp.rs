//! SIP over TCP, and what TLS has in common with it: framing, connection reuse, CRLF keep-alive (RFC 5626 4.4.1).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentact_sip::flow::{Flow, Transport};
use opentact_sip::message::{Frame, StreamFramer};
use rustls::pki_types::ServerName;
use socket2::{Domain, Protocol, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::keep_alive::{Due, KeepAlive};
use super::seats::Seat;
use super::{Inbound, Transports, keep_alive, large, tls};

/// How long the last messages of a connection may take to be written.
pub(super) const FAREWELL: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy)]
pub struct TcpLimits {
    /// Open connections; one more is closed at once, or answered 503 by HTTP.
    pub connections: usize,
    /// Of them those that one peer's address (IPv6: /64) has made.
    pub per_address: usize,
    /// TLS handshakes that are not done: in all, not among the connections.
    pub handshakes: usize,
    /// Octets of one message.
    pub message: usize,
    /// Octets of a request to a server over UDP; a longer one goes over TCP (RFC 3261 18.1.1).
    pub udp_request: usize,
    /// Messages that wait for a slow reader; one more closes the connection.
    pub write_queue: usize,
    /// A connection over TCP or TLS that is silent for longer is closed.
    pub idle: Duration,
    /// Silence after which a connection over TCP or TLS that we have made is pinged by CRLF; zero: never.
    pub keep_alive: Duration,
    /// How long the answer to such a ping may take where earlier ones were answered (RFC 5626 4.4.1).
    pub pong: Duration,
    /// How often a WebSocket client is pinged; one that is silent for twice as long is closed.
    pub ping: Duration,
    /// Until a connection to a peer must be up, and until a TLS handshake must be done.
    pub connect: Duration,
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            per_address: 1_000,
            handshakes: 1_000,
            message: 65_535,
            udp_request: 1_300,
            write_queue: 256,
            idle: Duration::from_secs(600),
            keep_alive: Duration::from_secs(30),
            pong: Duration::from_secs(10),
            ping: Duration::from_secs(30),
            connect: Duration::from_secs(5),
        }
    }
}

/// An open (or opening) connection: its writer's queue. Dropping it closes the connection.
pub(super) struct Connection {
    pub(super) flow: Flow,
    /// Whom we have made sure to talk to, where we connected over TLS.
    pub(super) name: Option<ServerName<'static>>,
    /// SIP domains that the other end has proved to be.
    pub(super) certified: Arc<[String]>,
    writer: mpsc::Sender<Bytes>,
    stop: CancellationToken,
}

/// The other end of a [`Connection`].
pub(super) struct Task {
    pub(super) flow: Flow,
    pub(super) queue: mpsc::Receiver<Bytes>,
    pub(super) stop: CancellationToken,
    /// Kept for as long as there is a socket.
    pub(super) seat: Seat,
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

/// A socket that listens. One for IPv6 is for nothing else: there may be another for IPv4 on its port.
pub(super) fn bind(address: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(socket)
}

pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::from_std(bind(address)?.into())
}

pub(super) async fn accept(listener: TcpListener, transport: Transport, transports: Arc<Transports>) {
    loop {
        let accepted = tokio::select! {
            () = transports.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, remote)) => {
                // A handshake that is never done takes no place of who has done one.
                let seat = match transport {
                    Transport::Tls => transports.seat_in(&transports.handshakes, remote),
                    _ => transports.seat(remote),
                };
                let (Some(seat), Ok(local)) = (seat, stream.local_addr()) else { continue };
                let _ = stream.set_nodelay(true);
                // Behind a NAT the address of the socket is none that the peer could use.
                let local = transports.outside.face(local, remote.ip());
                if transports.refuses(remote.ip()) {
                    continue;
                }
                let number = transports.next_connection() * 2;
                let flow = Flow { transport, local, remote, connection: number };
                if transport == Transport::Tls {
                    tokio::spawn(tls::serve(transports.clone(), stream, flow, seat));
                } else {
                    let task = register(&transports, flow, None, Vec::new(), seat);
                    tokio::spawn(run(transports.clone(), stream.into_split(), task));
                }
            }
            Err(error) => {
                // EMFILE and the like: wait for connections to close rather than spin.
                tracing::warn!(%error, %transport, "SIP accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Opens a connection; messages sent meanwhile wait in its queue. `name` is who must be there, for TLS.
pub(super) fn connect(
    transports: &Arc<Transports>,
    transport: Transport,
    remote: SocketAddr,
    name: Option<ServerName<'static>>,
) -> Option<Flow> {
    let flow = later(transports, transport, remote)?;
    if let Some(name) = &name {
        transports.names.lock().keep(flow.connection, name.clone());
    }
    open(transports, flow, name, None).then_some(flow)
}

/// Opens a connection to a server for what is too long for `udp`; that takes it where the connection does not come to be.
pub(super) fn connect_or(transports: &Arc<Transports>, udp: Flow) -> Option<Flow> {
    let flow = later(transports, Transport::Tcp, udp.remote)?;
    open(transports, flow, None, Some(udp)).then_some(flow)
}

/// A connection of ours that is not open: [`reconnect`] opens it.
pub(super) fn later(transports: &Transports, transport: Transport, remote: SocketAddr) -> Option<Flow> {
    let local = transports.listener(transport, remote)?;
    Some(Flow { transport, local, remote, connection: transports.next_connection() * 2 + 1 })
}

/// Opens a connection of ours that has ended once more, under its number, for a message. False where that is not to
/// be done: the peer made it, or there are too many.
pub(super) fn reconnect(transports: &Arc<Transports>, flow: Flow, bytes: Bytes) -> bool {
    let name = transports.names.lock().get(flow.connection);
    is_ours(&flow)
        && open(transports, flow, name, None)
        && transports.connections.get(&flow.connection).is_some_and(|connection| connection.send(bytes))
}

/// Connections that we make have odd numbers: where one led another one leads, should it end.
fn is_ours(flow: &Flow) -> bool {
    matches!(flow.transport, Transport::Tcp | Transport::Tls) && flow.connection % 2 == 1
}

fn open(transports: &Arc<Transports>, flow: Flow, name: Option<ServerName<'static>>, instead: Option<Flow>) -> bool {
    if transports.stop.is_cancelled() {
        return false;
    }
    let Some(seat) = transports.seats.take_own() else { return false };
    let name = name.filter(|_| flow.transport == Transport::Tls);
    let certified = name.as_ref().and_then(tls::domain_of).into_iter().collect();
    let task = register(transports, flow, name.clone(), certified, seat);
    let (runtime, transports) = (transports.runtime.clone(), transports.clone());
    runtime.spawn(async move {
        let connecting = tokio::time::timeout(transports.limits.connect, TcpStream::connect(flow.remote));
        let connected = tokio::select! {
            () = task.stop.cancelled() => return fail(&transports, flow, &task.stop, "closed").await,
            connected = connecting => connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
        };
        match connected {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                match flow.transport {
                    Transport::Tls => tls::call(transports, stream, name, task).await,
                    _ => run(transports, stream.into_split(), task).await,
                }
            }
            Err(error) => {
                fail(&transports, flow, &task.stop, &error.to_string()).await;
                if let Some(udp) = instead {
                    large::give_up(&transports, udp, task.queue);
                }
            }
        }
    });
    true
}

pub(super) fn register(
    transports: &Arc<Transports>,
    flow: Flow,
    name: Option<ServerName<'static>>,
    certified: Vec<String>,
    seat: Seat,
) -> Task {
    let (writer, queue) = mpsc::channel(transports.limits.write_queue);
    let stop = transports.stop.child_token();
    transports
        .connections
        .insert(flow.connection, Connection { flow, name, certified: certified.into(), writer, stop: stop.clone() });
    transports.by_remote.insert((flow.transport, flow.remote), flow.connection);
    Task { flow, queue, stop, seat }
}

pub(super) async fn fail(transports: &Transports, flow: Flow, stop: &CancellationToken, reason: &str) {
    tracing::debug!(transport = %flow.transport, remote = %flow.remote, reason, "SIP connection ended");
    // Once stopped it is no longer in the table; another under its number may be.
    if !stop.is_cancelled() {
        transports.remove(&flow);
    }
    let _ = transports.inbox.send(Inbound::Failed { flow }).await;
}

/// Reads and writes until one side has had enough.
pub(super) async fn run(
    transports: Arc<Transports>,
    (reader, writer): (impl AsyncRead + Unpin + Send, impl AsyncWrite + Unpin + Send + 'static),
    task: Task,
) {
    let Task { flow, queue, stop, seat: _seat } = task;
    let mut writing = tokio::spawn(write(writer, queue));
    let reason = tokio::select! {
        () = stop.cancelled() => "closed".to_owned(),
        reason = read(&transports, reader, flow) => reason,
    };
    // Without the queue's sender the writer finishes what it holds: if the peer reads it.
    fail(&transports, flow, &stop, &reason).await;
    if tokio::time::timeout(FAREWELL, &mut writing).await.is_err() {
        writing.abort();
    }
}

async fn write(mut stream: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Bytes>) {
    while let Some(bytes) = queue.recv().await {
        if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
    let _ = stream.shutdown().await;
}

/// Reads messages until the peer ends, errs or is silent for too long; says which.
async fn read(transports: &Transports, mut stream: impl AsyncRead + Unpin, flow: Flow) -> String {
    let mut framer = StreamFramer::new(transports.limits.message);
    let mut buffer = vec![0_u8; 16 * 1024];
    let limits = &transports.limits;
    let ping = (is_ours(&flow) && !limits.keep_alive.is_zero()).then_some((limits.keep_alive, limits.pong));
    let mut silence = KeepAlive::new(Instant::now(), limits.idle, ping);
    let say = |octets: &'static [u8]| {
        if let Some(connection) = transports.connections.get(&flow.connection) {
            connection.send(Bytes::from_static(octets));
        }
    };
    loop {
        let length = match tokio::time::timeout_at(silence.deadline().into(), stream.read(&mut buffer)).await {
            Err(_) => match silence.due(Instant::now()) {
                Due::Nothing => continue,
                Due::Ping => {
                    say(keep_alive::PING);
                    continue;
                }
                Due::Idle => return "idle".to_owned(),
                Due::Gone => return "no answer to a keep-alive".to_owned(),
            },
            Ok(Err(error)) => return error.to_string(),
            Ok(Ok(0)) => return "peer closed".to_owned(),
            Ok(Ok(length)) => length,
        };
        let answer = silence.read(Instant::now(), &buffer[..length], framer.pending() == 0);
        framer.push(&buffer[answer..length]);
        while let Some(frame) = framer.next() {
            match frame {
                Ok(Frame::Message(bytes)) => {
                    if transports.drops(&flow, &bytes) {
                        if transports.refuses(flow.remote.ip()) {
                            return "banned".to_owned();
                        }
                        continue;
                    }
                    if transports.inbox.send(Inbound::Message { bytes, flow, at: Instant::now() }).await.is_err() {
                        return "stopping".to_owned();
                    }
                }
                Ok(Frame::KeepAlive) => say(keep_alive::PONG),
                // After a framing error nobody knows where the next message starts.
                Err(error) => {
                    transports.malformed(&flow);
                    return format!("framing: {error}");
                }
            }
        }
    }
}
