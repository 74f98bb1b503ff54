//! A SIP peer over TCP or TLS: listens, connects, and counts its connections.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use opentact_sip::flow::{Flow, Transport};
use opentact_sip::message::{Frame, StreamFramer};
use opentact_sip::ua::{Command, Event, Input, OutgoingInvite, Output, SessionId, Ua, UaConfig};
use opentact_sip::uri::{NameAddr, Uri};
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{NUMBER, PATIENCE, sdp};

type Writer = Box<dyn AsyncWrite + Send + Unpin>;
/// What it shows who connects over TLS; may be changed.
pub type Shown = Arc<Mutex<Arc<ServerConfig>>>;

enum Happening {
    Open(Flow, Writer),
    Message(Flow, Bytes),
    Closed(Flow),
    /// The node has not liked what it was shown.
    Refused,
}

pub struct TcpPeer {
    pub ua: Ua,
    pub address: SocketAddr,
    /// Connections that the node has made.
    pub accepted: u64,
    /// TLS handshakes that the node has broken off.
    pub refused: u64,
    connections: HashMap<u64, Writer>,
    sender: mpsc::Sender<Happening>,
    happenings: mpsc::Receiver<Happening>,
}

impl TcpPeer {
    pub async fn new() -> Self {
        Self::on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(), None).await
    }

    /// One that is connected to over TLS.
    pub async fn tls(shown: Shown) -> Self {
        Self::on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(), Some(shown)).await
    }

    async fn on(listener: TcpListener, shown: Option<Shown>) -> Self {
        let address = listener.local_addr().unwrap();
        let (sender, happenings) = mpsc::channel(64);
        let ua = Ua::new(UaConfig::default(), address.port().into());
        let to_peer = sender.clone();
        tokio::spawn(async move {
            for connection in 1.. {
                let Ok((stream, remote)) = listener.accept().await else { return };
                let transport = if shown.is_some() { Transport::Tls } else { Transport::Tcp };
                let flow = Flow { transport, local: address, remote, connection };
                match &shown {
                    None => drop(tokio::spawn(read(flow, stream, to_peer.clone()))),
                    Some(shown) => {
                        let (acceptor, peer) = (TlsAcceptor::from(shown.lock().clone()), to_peer.clone());
                        tokio::spawn(async move {
                            match acceptor.accept(stream).await {
                                Ok(stream) => read(flow, stream, peer).await,
                                Err(_) => drop(peer.send(Happening::Refused).await),
                            }
                        });
                    }
                }
            }
        });
        Self { ua, address, accepted: 0, refused: 0, connections: HashMap::new(), sender, happenings }
    }

    pub fn command(&mut self, command: Command) {
        self.ua.handle(Instant::now(), Input::Command(command));
    }

    /// Calls the number of the world over a connection of its own.
    pub async fn call_number(&mut self, sip: SocketAddr, rtp: u16) -> SessionId {
        let stream = TcpStream::connect(sip).await.unwrap();
        self.call_over(Transport::Tcp, stream, sip, rtp).await
    }

    /// The same over TLS to `localhost`, as whom `config` shows.
    pub async fn call_number_as(&mut self, config: Arc<ClientConfig>, sip: SocketAddr, rtp: u16) -> SessionId {
        let stream = TcpStream::connect(sip).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(config).connect(name, stream).await.unwrap();
        self.call_over(Transport::Tls, stream, sip, rtp).await
    }

    async fn call_over(
        &mut self,
        transport: Transport,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        sip: SocketAddr,
        rtp: u16,
    ) -> SessionId {
        let flow = Flow { transport, local: self.address, remote: sip, connection: 1_000_000 };
        tokio::spawn(read(flow, stream, self.sender.clone()));
        while !self.connections.contains_key(&flow.connection) {
            self.happen().await;
        }
        let session = self.ua.new_session();
        let uri = Uri::from_addr(Some(&NUMBER.to_string()), sip);
        let invite = OutgoingInvite {
            flow,
            uri: uri.clone(),
            from: NameAddr::new(Uri::from_addr(Some("+12025550123"), self.address)),
            to: NameAddr::new(uri),
            contact: None,
            call_id: None,
            route: Vec::new(),
            headers: Vec::new(),
            body: sdp(rtp),
            credentials: None,
        };
        self.command(Command::Invite { session, invite });
        session
    }

    pub async fn invited(&mut self) -> SessionId {
        loop {
            if let Event::Invite { session, .. } = self.event().await {
                return session;
            }
        }
    }

    /// Ends every connection. Returns when the node has ended its side too, and so knows.
    pub async fn disconnect(&mut self) {
        for connection in self.connections.values_mut() {
            connection.shutdown().await.unwrap();
        }
        while !self.connections.is_empty() {
            self.happen().await;
        }
    }

    pub async fn event(&mut self) -> Event {
        loop {
            if let Some(event) = self.flush().await {
                return event;
            }
            self.happen().await;
        }
    }

    /// Says what there is to say, until something has happened.
    pub async fn flush(&mut self) -> Option<Event> {
        while let Some(output) = self.ua.poll() {
            match output {
                Output::Transmit { flow, bytes } => {
                    if let Some(connection) = self.connections.get_mut(&flow.connection) {
                        connection.write_all(&bytes).await.unwrap();
                    }
                }
                Output::Event(event) => return Some(event),
            }
        }
        None
    }

    /// Waits to be called, and answers.
    pub async fn pick_up(&mut self, rtp: u16) {
        let session = self.invited().await;
        self.command(Command::Accept { session, headers: Vec::new(), body: sdp(rtp), contact: None });
        while !matches!(self.event().await, Event::Acked { .. }) {}
    }

    /// Works until nothing of its calls is left.
    pub async fn settle(&mut self) {
        while self.ua.stats().sessions > 0 {
            self.event().await;
        }
        self.flush().await;
    }

    pub async fn happen(&mut self) {
        let deadline = self.ua.deadline().unwrap_or_else(|| Instant::now() + PATIENCE);
        let happening = tokio::select! {
            happening = tokio::time::timeout(PATIENCE, self.happenings.recv()) => happening.expect("nothing happened"),
            () = tokio::time::sleep_until(deadline.into()) => {
                return self.ua.handle(Instant::now(), Input::Tick);
            }
        };
        match happening.unwrap() {
            Happening::Open(flow, writer) => {
                self.accepted += u64::from(flow.connection < 1_000_000);
                self.connections.insert(flow.connection, writer);
            }
            Happening::Message(flow, message) => self.ua.handle(Instant::now(), Input::Received { message, flow }),
            Happening::Refused => self.refused += 1,
            Happening::Closed(flow) => drop(self.connections.remove(&flow.connection)),
        }
    }
}

async fn read(flow: Flow, stream: impl AsyncRead + AsyncWrite + Send + 'static, peer: mpsc::Sender<Happening>) {
    let (mut reader, writer) = tokio::io::split(stream);
    if peer.send(Happening::Open(flow, Box::new(writer))).await.is_err() {
        return;
    }
    let mut framer = StreamFramer::new(65_535);
    let mut buffer = vec![0; 65_535];
    while let Ok(length @ 1..) = reader.read(&mut buffer).await {
        framer.push(&buffer[..length]);
        while let Some(Ok(frame)) = framer.next() {
            if let Frame::Message(message) = frame {
                let _ = peer.send(Happening::Message(flow, message)).await;
            }
        }
    }
    let _ = peer.send(Happening::Closed(flow)).await;
}
