//! A peer that writes its SIP by hand: for what a user agent that does as it should would not send.

use std::net::{Ipv4Addr, SocketAddr};

use opentact_sip::message::{Message, Method, Name, Request, Response};
use tokio::net::UdpSocket;

use super::{NUMBER, PATIENCE};

pub struct Raw {
    pub address: SocketAddr,
    socket: UdpSocket,
    node: SocketAddr,
    /// Of the requests to come.
    pub max_forwards: u8,
    calls: u32,
}

impl Raw {
    pub async fn new(node: SocketAddr) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self { address: socket.local_addr().unwrap(), socket, node, max_forwards: 70, calls: 0 }
    }

    pub async fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.node).await.unwrap();
    }

    /// An INVITE to the world's number; each is a call of its own.
    pub async fn invite(&mut self, headers: &str, body: &str) {
        self.calls += 1;
        let (call, address) = (self.calls, self.address);
        let text = self.request("INVITE", call, "", &format!("Contact: <sip:raw@{address}>\r\n{headers}"), body);
        self.send(&text).await;
    }

    /// A request of the call whose INVITE was the `call`th. `to_tag` of its dialog, if there is one.
    pub fn request(&self, method: &str, call: u32, to_tag: &str, headers: &str, body: &str) -> String {
        let (address, length) = (self.address, body.len());
        let tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
        let (method, number, branch) = match method {
            "INVITE" | "CANCEL" => (method, 1, format!("z9hG4bKraw{call}")),
            // RFC 3261 17.1.1.3: part of the INVITE's transaction.
            "ACK of a refusal" => ("ACK", 1, format!("z9hG4bKraw{call}")),
            "ACK" => (method, 1, format!("z9hG4bKrawack{call}")),
            "UPDATE" => (method, 3, format!("z9hG4bKraw{method}{call}")),
            _ => (method, 2, format!("z9hG4bKraw{method}{call}")),
        };
        let hops = self.max_forwards;
        format!(
            "{method} sip:{NUMBER}@{node} SIP/2.0\r\nVia: SIP/2.0/UDP {address};rport;branch={branch}\r\n\
             Max-Forwards: {hops}\r\nFrom: <sip:+12025550123@{address}>;tag=raw{call}\r\nTo: <sip:{NUMBER}@{node}>{tag}\r\n\
             Call-ID: raw{call}@{address}\r\nCSeq: {number} {method}\r\n{headers}Content-Length: {length}\r\n\r\n{body}",
            node = self.node,
        )
    }

    /// ACK of the final answer to the last INVITE.
    pub async fn acknowledge(&self, answer: &Response, body: &str) {
        let tag = String::from_utf8_lossy(answer.to_tag().unwrap()).into_owned();
        let headers = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let method = if answer.is_success() { "ACK" } else { "ACK of a refusal" };
        self.send(&self.request(method, self.calls, &tag, headers, body)).await;
    }

    /// Acknowledges a reliable provisional response to the last INVITE.
    pub async fn prack(&self, told: &Response, body: &str) {
        let tag = String::from_utf8_lossy(told.to_tag().unwrap()).into_owned();
        let number = String::from_utf8_lossy(told.headers().get(Name::RSeq).unwrap()).into_owned();
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let headers = format!("RAck: {number} 1 INVITE\r\n{content}");
        self.send(&self.request("PRACK", self.calls, &tag, &headers, body)).await;
    }

    /// The next provisional response with this code.
    pub async fn provisional(&self, code: u16) -> Response {
        loop {
            if let Message::Response(response) = self.receive().await
                && response.code() == code
            {
                return response;
            }
        }
    }

    /// The next final response to a request of this method.
    pub async fn answer_to(&self, method: &Method) -> Response {
        loop {
            let answer = self.answer().await;
            if answer.cseq().unwrap().method == *method {
                return answer;
            }
        }
    }

    async fn receive(&self) -> Message {
        let mut buffer = vec![0; 65_535];
        let received = tokio::time::timeout(PATIENCE, self.socket.recv(&mut buffer)).await.expect("nothing came");
        Message::parse(bytes::Bytes::copy_from_slice(&buffer[..received.unwrap()])).unwrap()
    }

    /// The next final response to an INVITE or other request, those before passed over.
    pub async fn answer(&self) -> Response {
        loop {
            if let Message::Response(response) = self.receive().await
                && response.code() >= 200
            {
                return response;
            }
        }
    }

    /// The next request, which is answered 200.
    pub async fn asked(&self) -> Request {
        loop {
            if let Message::Request(request) = self.receive().await {
                let answer = opentact_sip::message::ResponseBuilder::reply(&request, 200).build();
                self.socket.send_to(answer.bytes(), self.node).await.unwrap();
                return request;
            }
        }
    }
}
