//! The network over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentact_sip::message::{Message, Response};
use opentact_sip::sdp::Session;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::driver::{DevVoice, Platform, VoiceConfig};

struct Nobody;

#[async_trait]
impl Platform for Nobody {
    async fn is_leased(&self, _number: u64) -> bool {
        false
    }

    async fn speak(&self, _text: &str) -> Option<Arc<opentact_media::Clip>> {
        None
    }
}

struct Phone {
    sip: UdpSocket,
    rtp: UdpSocket,
    network: SocketAddr,
    _voice: DevVoice,
}

impl Phone {
    async fn new() -> Phone {
        let sip = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let rtp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let bound = DevVoice::bind(VoiceConfig::default()).await.unwrap();
        let network = bound.address();
        let voice = bound.start(sip.local_addr().unwrap(), Arc::new(Nobody)).unwrap();
        Phone { sip, rtp, network, _voice: voice }
    }

    async fn send(&self, method: &str, user: &str, to_tag: &str, body: &str) {
        let (me, network) = (self.sip.local_addr().unwrap(), self.network);
        let number = if method == "BYE" { 2 } else { 1 };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "{method} sip:{user}@{network} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{method};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:me@{me}>;tag=1\r\nTo: <sip:{user}@{network}>{to_tag}\r\n\
             Call-ID: c\r\nCSeq: {number} {method}\r\nContact: <sip:me@{me}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.sip.send_to(text.as_bytes(), network).await.unwrap();
    }

    async fn final_response(&self) -> Response {
        let mut datagram = vec![0; 4_096];
        loop {
            let received = timeout(Duration::from_secs(10), self.sip.recv_from(&mut datagram)).await;
            let (length, _) = received.expect("no response").unwrap();
            if let Message::Response(response) = Message::parse(datagram[..length].to_vec().into()).unwrap()
                && !response.is_provisional()
            {
                return response;
            }
        }
    }
}

#[tokio::test]
async fn it_answers_a_ping() {
    let phone = Phone::new().await;
    phone.send("OPTIONS", "ping", "", "").await;
    assert_eq!(phone.final_response().await.code(), 200);
}

#[tokio::test]
async fn what_a_phone_says_comes_back() {
    let phone = Phone::new().await;
    let port = phone.rtp.local_addr().unwrap().port();
    let offer = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    );
    phone.send("INVITE", "+12015551234", "", &offer).await;
    let answer = phone.final_response().await;
    assert_eq!(answer.code(), 200);
    let tag = format!(";tag={}", String::from_utf8_lossy(answer.to_tag().unwrap()));
    phone.send("ACK", "+12015551234", &tag, "").await;
    let media = Session::parse(answer.body()).unwrap().media.remove(0);
    let echo = SocketAddr::from(([127, 0, 0, 1], media.port));

    // A sound no silence and no tone resembles: full-scale octets, in every packet.
    let mut heard = false;
    let mut packet = [0; 2_048];
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for sequence in 0u16..500 {
        ticks.tick().await;
        let mut rtp = vec![0x80, 0];
        rtp.extend(sequence.to_be_bytes());
        rtp.extend((u32::from(sequence) * 160).to_be_bytes());
        rtp.extend(7u32.to_be_bytes());
        rtp.extend([0x80; 160]);
        phone.rtp.send_to(&rtp, echo).await.unwrap();
        while let Ok((length, _)) = phone.rtp.try_recv_from(&mut packet) {
            heard |= length == 172 && packet[12..length].iter().filter(|octet| **octet == 0x80).count() > 100;
        }
        if heard {
            break;
        }
    }
    assert!(heard, "no echo within ten seconds");
    phone.send("BYE", "+12015551234", &tag, "").await;
    assert_eq!(phone.final_response().await.code(), 200);
}
