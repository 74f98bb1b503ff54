//! The SMSC for customers' software, and an ESME that looks at the order of what it is sent.

#![allow(clippy::unwrap_used, clippy::panic)]

mod ground;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ground::{Ground, OURS, a_minute, new_sms, soon};
use opentact_carrier::smpp::{News, Server, ServerConfig};
use opentact_engine::ports::{ControlError, MessageControl, PreviewMessage, SendMessage};
use opentact_messaging::smpp::pdu::{Deframer, Frame, Pdu};
use opentact_messaging::smpp::{Address, Bind, BindKind, ShortMessage, VERSION_3_4};
use opentact_store::Store;
use opentact_store::sms::{Consequences, Enqueue, NewReceipt, NewSms, Outcome, Settlement};
use opentact_store::types::{Role, SmsType};
use opentact_store::users::NewUser;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use uuid::Uuid;

const THEIRS: u64 = 12025550199;

/// A network in which a message has arrived, and is answered, before whoever sent it hears that it was taken.
struct Quick {
    store: Store,
    news: News,
    go_on: Notify,
}

#[async_trait]
impl MessageControl for Quick {
    async fn send(&self, request: SendMessage) -> Result<Vec<Result<Value, ControlError>>, ControlError> {
        let (account, sms) = (request.account, self.store.sms());
        let messages = vec![new_sms(THEIRS)];
        let one = Enqueue { account, messages, waiting: a_minute(), submits: request.submits };
        let uuid = sms.enqueue_all(vec![one]).await.unwrap()[0][0].uuid;
        let outcome = Outcome::Accepted { references: vec!["r".into()], charge: None };
        sms.settle(vec![Settlement { account, sms: uuid, carrier: Some("north".into()), outcome }]).await.unwrap();
        let receipt = NewReceipt { carrier: "north".into(), reference_id: "r".into(), failed: None };
        assert!(sms.receipts(vec![receipt], |_| false).await.unwrap()[0].as_ref().unwrap().changed);
        let (from, to) = (THEIRS.to_string(), OURS.to_string());
        let answer = NewSms { kind: SmsType::Inbound, from, to, ..new_sms(THEIRS) };
        sms.receive(account, answer, |_| Consequences::default()).await.unwrap().unwrap();
        self.news.send(account).unwrap();
        self.go_on.notified().await;
        Ok(vec![Ok(json!({}))])
    }

    async fn preview(&self, _: PreviewMessage) -> Result<Value, ControlError> {
        panic!("nobody asks")
    }

    async fn cancel(&self, _: Uuid, _: Uuid) -> Result<Value, ControlError> {
        panic!("nobody asks")
    }

    async fn dev_message(&self, _: Uuid, _: u64, _: u64, _: String) -> Result<Value, ControlError> {
        panic!("nobody asks")
    }
}

struct Esme {
    stream: TcpStream,
    deframer: Deframer,
}

impl Esme {
    async fn bind(server: SocketAddr, (system_id, password): (String, String)) -> Esme {
        let mut esme = Esme { stream: TcpStream::connect(server).await.unwrap(), deframer: Deframer::default() };
        let bind =
            Bind { kind: BindKind::Transceiver, system_id, password, system_type: String::new(), version: VERSION_3_4 };
        esme.send(Frame::request(1, Pdu::Bind(bind))).await;
        assert!(matches!(esme.next().await.pdu, Pdu::BindResp { .. }));
        esme
    }

    async fn send(&mut self, frame: Frame) {
        self.stream.write_all(&frame.encode().unwrap()).await.unwrap();
    }

    async fn next(&mut self) -> Frame {
        let mut octets = [0; 1024];
        loop {
            if let Some(frame) = self.deframer.next_frame() {
                return frame.unwrap();
            }
            let count = soon("a PDU", self.stream.read(&mut octets)).await.unwrap();
            assert!(count > 0, "closed");
            self.deframer.push(&octets[..count]);
        }
    }
}

#[tokio::test]
async fn no_receipt_comes_before_the_answer_that_names_its_message() {
    let ground = Ground::new().await;
    let user = NewUser::new("a@b.example", "secret of a", Role::Admin);
    let user = ground.store.users().create(ground.account, user).await.unwrap().uuid;
    let (token, _) = ground.store.tokens().create(ground.account, user, "esme", None, vec![]).await.unwrap();
    let news = News::new(16);
    let quick = Arc::new(Quick { store: ground.store.clone(), news: news.clone(), go_on: Notify::new() });
    let config = ServerConfig {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        listen_tls: vec![],
        tls: None,
        connections: 10,
        binds_per_account: 10,
        window: 10,
        rate: 0,
        failures: 0,
        keep: Duration::from_secs(60),
    };
    let server = Server::start(config, ground.store.clone(), quick.clone(), news).await.unwrap();
    let mut esme = Esme::bind(server.addresses()[0], ground.store.tokens().smpp_login(token.uuid)).await;

    let submit = ShortMessage {
        source: Address::e164(OURS),
        destination: Address::e164(THEIRS),
        body: "quick".into(),
        registered_delivery: 1,
        ..ShortMessage::default()
    };
    esme.send(Frame::request(2, Pdu::Submit(submit))).await;
    // The receipt was written before this, and would be told before it.
    let Pdu::Deliver(inbound) = esme.next().await.pdu else { panic!("no deliver_sm") };
    assert_eq!(inbound.receipted_message_id, None, "no receipt yet");
    quick.go_on.notify_one();
    let Frame { sequence: 2, pdu: Pdu::SubmitResp { message_id, .. }, .. } = esme.next().await else {
        panic!("no answer")
    };
    let Pdu::Deliver(receipt) = esme.next().await.pdu else { panic!("no deliver_sm") };
    assert_eq!(receipt.receipted_message_id, Some(message_id));
    drop(esme);
    soon("shutdown", server.shutdown()).await;
}
