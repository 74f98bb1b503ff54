//! A DNS server of the test's own, and what it was asked.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, NAPTR, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use parking_lot::Mutex;
use tokio::net::UdpSocket;

/// Seconds.
const TTL: u32 = 60;

#[derive(Clone)]
pub struct Dns {
    pub address: SocketAddr,
    records: Arc<Mutex<HashMap<(String, RecordType), Vec<RData>>>>,
    asked: Arc<Mutex<Vec<(String, RecordType)>>>,
}

impl Dns {
    pub async fn new() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let dns = Self { address: socket.local_addr().unwrap(), records: Arc::default(), asked: Arc::default() };
        tokio::spawn(dns.clone().serve(socket));
        dns
    }

    async fn serve(self, socket: UdpSocket) {
        let mut buffer = [0; 4096];
        loop {
            let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
            let query = Message::from_vec(&buffer[..length]).unwrap();
            let question = query.queries[0].clone();
            let key = (question.name().to_ascii().to_ascii_lowercase(), question.query_type());
            let known = self.records.lock().get(&key).cloned().unwrap_or_default();
            self.asked.lock().push(key);
            let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
            answer.metadata.response_code =
                if known.is_empty() { ResponseCode::NXDomain } else { ResponseCode::NoError };
            let records = known.into_iter().map(|data| Record::from_rdata(question.name().clone(), TTL, data));
            answer.add_answers(records);
            answer.add_query(question);
            socket.send_to(&answer.to_vec().unwrap(), client).await.unwrap();
        }
    }

    fn add(&self, name: &str, kind: RecordType, data: RData) {
        self.records.lock().entry((format!("{name}."), kind)).or_default().push(data);
    }

    pub fn a(&self, name: &str, address: [u8; 4]) {
        self.add(name, RecordType::A, RData::A(A(address.into())));
    }

    pub fn srv(&self, name: &str, priority: u16, port: u16, target: &str) {
        let target = Name::from_ascii(format!("{target}.")).unwrap();
        self.add(name, RecordType::SRV, RData::SRV(SRV::new(priority, 1, port, target)));
    }

    pub fn naptr(&self, name: &str, order: u16, service: &str, replacement: &str) {
        let bytes = |text: &str| text.as_bytes().to_vec().into_boxed_slice();
        let replacement = Name::from_ascii(format!("{replacement}.")).unwrap();
        let record = NAPTR::new(order, 1, bytes("s"), bytes(service), bytes(""), replacement);
        self.add(name, RecordType::NAPTR, RData::NAPTR(record));
    }

    /// What it was asked since the last time.
    pub fn asked(&self) -> Vec<(String, RecordType)> {
        std::mem::take(&mut self.asked.lock())
    }
}
