//! The websocket with a real client on a real socket.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use opentact_api::{Settings, WebsocketSettings};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::world::{PASSWORD, World, shown, tell};

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// Serves the world's router; the address.
async fn serve(world: &World) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = world.router.clone().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

impl Client {
    async fn connect(address: SocketAddr, path: &str) -> Client {
        let (stream, _) = tokio_tungstenite::connect_async(format!("ws://{address}{path}")).await.unwrap();
        Client(stream)
    }

    /// Connected and authenticated; the `auth` event is read.
    async fn open(address: SocketAddr, token: &str) -> Client {
        let mut client = Client::connect(address, "/ws").await;
        client.send(json!({"type": "auth", "payload": token})).await;
        assert_eq!(client.next().await["type"], "auth");
        client
    }

    async fn send(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    async fn next(&mut self) -> Value {
        loop {
            match self.0.next().await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The close code, whatever comes before it.
    async fn closed(&mut self) -> u16 {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Close(frame))) => return frame.unwrap().code.into(),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn the_auth_frame_opens_the_stream_of_events() {
    let world = World::new().await;
    let address = serve(&world).await;
    let mut client = Client::connect(address, "/").await;
    client.send(json!({"type": "auth", "payload": world.me.token})).await;
    let hello = client.next().await;
    insta::assert_snapshot!(shown(&redacted_connection(&hello)));
    assert_eq!(world.get("/rest/user").expect(200).await["wss_online"], true);
    for text in ["one", "two"] {
        tell(&world.hub, &world.me, text);
    }
    tell(&world.hub, &world.stranger().await, "not mine");
    tell(&world.hub, &world.me, "three");
    for (seq, text) in [(1, "one"), (2, "two"), (3, "three")] {
        let event = client.next().await;
        assert_eq!((event["seq"].clone(), event["message"].clone()), (json!(seq), json!(text)));
    }
    client.send(json!({"type": "ping"})).await;
    assert_eq!(client.next().await, json!({"type": "pong"}));
}

fn redacted_connection(hello: &Value) -> Value {
    let mut hello = hello.clone();
    let uuid = hello["payload"]["uuid"].as_str().unwrap().to_owned();
    hello["message"] = hello["message"].as_str().unwrap().replace(&uuid, "[connection]").into();
    hello
}

#[tokio::test]
async fn a_jwt_opens_it_too() {
    let world = World::new().await;
    let address = serve(&world).await;
    let user = world.get("/rest/auth").basic("me@example.com", PASSWORD).expect(200).await;
    Client::open(address, user["token"].as_str().unwrap()).await;
}

#[tokio::test]
async fn without_a_valid_auth_frame_it_is_closed_4401() {
    let websocket = WebsocketSettings { auth_timeout: Duration::from_millis(50), ..WebsocketSettings::default() };
    let world = World::with(Settings { websocket, ..Settings::default() }).await;
    let address = serve(&world).await;
    for frame in [json!({"type": "auth", "payload": "nope"}), json!({"type": "ping"}), json!("hello")] {
        let mut client = Client::connect(address, "/ws").await;
        client.send(frame).await;
        assert_eq!(client.closed().await, 4401);
    }
    let mut silent = Client::connect(address, "/ws").await;
    assert_eq!(silent.closed().await, 4401);
}

#[tokio::test]
async fn only_subscribed_types_arrive_and_changes_are_followed_at_once() {
    let world = World::new().await;
    let address = serve(&world).await;
    let sms = world.post("/rest/event/subscription", json!({"type": "sms"})).expect(201).await;
    let mut client = Client::open(address, &world.me.token).await;
    tell(&world.hub, &world.me, "not subscribed");
    world.hub.flush().await;
    let path = format!("/rest/event/subscription/{}", sms["uuid"].as_str().unwrap());
    world.patch(&path, json!({"type": "balance"})).expect(200).await;
    tell(&world.hub, &world.me, "subscribed");
    assert_eq!(client.next().await["message"], "subscribed");
    let past = "2020-01-01T00:00:00.000Z";
    world.patch(&path, json!({"expired_on": past})).expect(200).await;
    tell(&world.hub, &world.me, "expired");
    world.hub.flush().await;
    client.send(json!({"type": "ping", "payload": 7})).await;
    assert_eq!(client.next().await, json!({"type": "pong", "payload": 7}));
}

#[tokio::test]
async fn a_client_resumes_where_it_was() {
    let world = World::new().await;
    let address = serve(&world).await;
    for text in ["one", "two", "three"] {
        tell(&world.hub, &world.me, text);
    }
    world.hub.flush().await;
    let mut client = Client::open(address, &world.me.token).await;
    client.send(json!({"type": "subscribe", "payload": {"types": ["balance"], "after": 1}})).await;
    assert_eq!(client.next().await, json!({"type": "subscribed", "payload": {"types": ["balance"], "after": 1}}));
    tell(&world.hub, &world.me, "four");
    for text in ["two", "three", "four"] {
        assert_eq!(client.next().await["message"], text);
    }
    client.send(json!({"type": "subscribe", "payload": {"types": ["sms"]}})).await;
    assert_eq!(client.next().await["type"], "subscribed");
    tell(&world.hub, &world.me, "five");
    world.hub.flush().await;
    client.send(json!({"type": "subscribe", "payload": {"types": ["balance"]}})).await;
    assert_eq!(client.next().await["type"], "subscribed");
    tell(&world.hub, &world.me, "six");
    let messages = [client.next().await["message"].clone()];
    assert_eq!(messages, [json!("six")]);
}

#[tokio::test]
async fn frames_that_make_no_sense_are_told_and_the_stream_goes_on() {
    let world = World::new().await;
    let address = serve(&world).await;
    let mut client = Client::open(address, &world.me.token).await;
    client.send(json!({"type": "subscribe", "payload": {"types": ["weather"]}})).await;
    assert_eq!(client.next().await, json!({"type": "error", "message": "unknown event type `weather`"}));
    tell(&world.hub, &world.me, "still here");
    assert_eq!(client.next().await["message"], "still here");
}

#[tokio::test]
async fn a_slow_reader_is_dropped_4408_and_slows_nobody() {
    let hub = opentact_events::Settings { buffer: 4, ..opentact_events::Settings::default() };
    let websocket = WebsocketSettings { write_timeout: Duration::from_millis(100), ..WebsocketSettings::default() };
    let world = World::assembled(Settings { websocket, ..Settings::default() }, hub).await;
    let address = serve(&world).await;
    let mut slow = Client::open(address, &world.me.token).await;
    let big = "x".repeat(64 * 1024);
    // Far more than the socket buffers of loopback hold.
    for _ in 0..400 {
        tell(&world.hub, &world.me, &big);
        world.hub.flush().await;
    }
    assert_eq!(slow.closed().await, 4408);
    let mut quick = Client::open(address, &world.me.token).await;
    tell(&world.hub, &world.me, "in time");
    assert_eq!(quick.next().await["message"], "in time");
}

#[tokio::test]
async fn an_account_has_so_many_websockets_and_no_more() {
    let websocket = WebsocketSettings { per_account: 1, ..WebsocketSettings::default() };
    let world = World::with(Settings { websocket, ..Settings::default() }).await;
    let address = serve(&world).await;
    let first = Client::open(address, &world.me.token).await;
    let mut second = Client::connect(address, "/ws").await;
    second.send(json!({"type": "auth", "payload": world.me.token})).await;
    assert_eq!(second.closed().await, 4429);
    Client::open(address, &world.stranger().await.token).await;
    drop(first);
}

#[tokio::test]
async fn the_end_of_the_hub_is_told_1001() {
    let world = World::new().await;
    let address = serve(&world).await;
    let mut client = Client::open(address, &world.me.token).await;
    world.hub.close().await;
    assert_eq!(client.closed().await, 1001);
}

#[tokio::test]
async fn a_browser_at_the_root_is_led_to_the_reference() {
    let world = World::new().await;
    let answer = world.get("/").anonymous().send().await;
    assert_eq!((answer.status.as_u16(), &answer.headers["location"]), (303, &"/swagger/".parse().unwrap()));
    world.get("/ws").anonymous().expect(400).await;
}
