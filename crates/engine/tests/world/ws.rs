//! A SIP peer over WebSocket, as a softphone in a browser is one: it can be reached by its connection only.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use opentact_engine::transport::WsDoor;
use opentact_sip::digest::Credentials;
use opentact_sip::flow::{Flow, Transport};
use opentact_sip::message::Method;
use opentact_sip::ua::{Command, Event, Input, OutgoingInvite, OutgoingRequest, Output, SessionId, Ua, UaConfig};
use opentact_sip::uri::{NameAddr, Uri};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{DOMAIN, PASSWORD, PATIENCE, World, address};

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl World {
    /// Serves SIP over WebSocket without TLS. Clients are who X-Forwarded-For says.
    pub async fn websocket(&self) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let local = listener.local_addr().unwrap();
        let client = |peer, forwarded: Option<&str>| forwarded.map_or(peer, |address| address.parse().unwrap());
        let router = self.engine.websocket(WsDoor { secure: false, local, client: Arc::new(client) });
        tokio::spawn(async move {
            axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await.unwrap();
        });
        local
    }
}

/// Asks for an upgrade, as a client of this address.
pub async fn connect(node: SocketAddr, protocol: Option<&str>, address: &str) -> Result<Socket, Error> {
    let mut request = format!("ws://{node}/sip").into_client_request().unwrap();
    request.headers_mut().insert("x-forwarded-for", address.parse().unwrap());
    if let Some(protocol) = protocol {
        request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
    }
    connect_async(request).await.map(|(socket, _)| socket)
}

/// The next frame that is no ping.
pub async fn next(socket: &mut Socket) -> Option<Result<Message, Error>> {
    loop {
        let frame = tokio::time::timeout(PATIENCE, socket.next()).await.expect("no frame came");
        if !matches!(frame, Some(Ok(Message::Ping(_)))) {
            return frame;
        }
    }
}

/// How the node closes, once everything before is read.
pub async fn closed(socket: &mut Socket) -> Option<CloseFrame> {
    loop {
        match next(socket).await {
            Some(Ok(Message::Close(frame))) => return frame,
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

pub struct WsPeer {
    pub ua: Ua,
    pub socket: Socket,
    flow: Flow,
    login: &'static str,
}

impl WsPeer {
    pub async fn new(node: SocketAddr, login: &'static str) -> Self {
        let socket = connect(node, Some("sip"), "192.0.2.7").await.unwrap();
        let local = "192.0.2.7:9".parse().unwrap();
        let flow = Flow { transport: Transport::Ws, local, remote: node, connection: 1 };
        Self { ua: Ua::new(UaConfig::default(), 7), socket, flow, login }
    }

    /// As JsSIP gives it.
    pub fn contact(&self) -> Uri {
        Uri::sip(Some(self.login), "df7jal23ls0d.invalid", None).unwrap().with_param("transport", Some("ws"))
    }

    pub fn command(&mut self, command: Command) {
        self.ua.handle(Instant::now(), Input::Command(command));
    }

    pub async fn register(&mut self) -> u16 {
        let id = self.ua.new_request();
        let (uri, aor) = (Uri::sip(None, DOMAIN, None).unwrap(), address(self.login));
        let request = OutgoingRequest {
            contact: Some(self.contact()),
            expires: Some(300),
            credentials: Some(Credentials::password(self.login.to_owned(), PASSWORD.to_owned())),
            ..OutgoingRequest::new(self.flow, Method::Register, uri, aor.clone(), aor)
        };
        self.command(Command::Request { id, request });
        match self.event().await {
            Event::Response { response, .. } => response.code(),
            other => panic!("{other:?}"),
        }
    }

    /// Calls without being known.
    pub fn call(&mut self, from: NameAddr, uri: Uri) -> SessionId {
        let session = self.ua.new_session();
        let invite = OutgoingInvite {
            flow: self.flow,
            uri: uri.clone(),
            from,
            to: NameAddr::new(uri),
            contact: Some(self.contact()),
            call_id: None,
            route: Vec::new(),
            headers: Vec::new(),
            body: super::sdp(40_000),
            credentials: None,
        };
        self.command(Command::Invite { session, invite });
        session
    }

    pub async fn event(&mut self) -> Event {
        loop {
            if let Some(event) = self.flush().await {
                return event;
            }
            let deadline = self.ua.deadline().unwrap_or_else(|| Instant::now() + PATIENCE);
            tokio::select! {
                frame = next(&mut self.socket) => {
                    let message = match frame.unwrap().unwrap() {
                        Message::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
                        other => panic!("{other:?}"),
                    };
                    self.ua.handle(Instant::now(), Input::Received { message, flow: self.flow });
                }
                () = tokio::time::sleep_until(deadline.into()) => self.ua.handle(Instant::now(), Input::Tick),
            }
        }
    }

    /// Says what there is to say, until something has happened.
    pub async fn flush(&mut self) -> Option<Event> {
        while let Some(output) = self.ua.poll() {
            match output {
                Output::Transmit { bytes, .. } => self.socket.send(Message::Binary(bytes)).await.unwrap(),
                Output::Event(event) => return Some(event),
            }
        }
        None
    }
}
