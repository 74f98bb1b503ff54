use super::*;
use crate::flow::Transport;
use crate::message::Message;

const AOR: &str = "alice@example.com";
const DEVICE: &str = ";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000a95a0e128>\"";

struct Office {
    registrar: Registrar,
    now: Instant,
    cseq: u32,
}

fn flow(connection: u64) -> Flow {
    let transport = if connection == 0 { Transport::Udp } else { Transport::Tcp };
    let (local, remote) = ("192.0.2.1:5060".parse().unwrap(), "192.0.2.9:5060".parse().unwrap());
    Flow { transport, local, remote, connection }
}

fn register(call_id: &str, cseq: u32, headers: &str) -> Request {
    let text = format!(
        "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{cseq}\r\n\
         From: <sip:alice@example.com>;tag=a\r\nTo: <sip:alice@example.com>\r\nCall-ID: {call_id}\r\n\
         CSeq: {cseq} REGISTER\r\n{}\r\n",
        headers.replace('\n', "\r\n")
    );
    match Message::parse(text.into()).unwrap() {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a response"),
    }
}

impl Office {
    fn new() -> Office {
        Office { registrar: Registrar::new(RegistrarConfig::default()), now: Instant::now(), cseq: 0 }
    }

    fn send(&mut self, headers: &str) -> Result<Vec<String>, u16> {
        self.cseq += 1;
        self.send_as("one", self.cseq, headers, flow(0))
    }

    fn send_as(&mut self, call_id: &str, cseq: u32, headers: &str, flow: Flow) -> Result<Vec<String>, u16> {
        let request = register(call_id, cseq, headers);
        match self.registrar.register(self.now, AOR, &request, flow) {
            Ok(headers) => Ok(headers.iter().map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()),
            Err(refusal) => Err(refusal.code),
        }
    }

    fn contacts(&self) -> Vec<String> {
        self.registrar.lookup(self.now, AOR).iter().map(|binding| binding.contact.to_string()).collect()
    }

    fn changes(&mut self) -> Vec<Change> {
        std::iter::from_fn(|| self.registrar.poll()).map(|changed| changed.change).collect()
    }
}

#[test]
fn contact_is_bound_asked_for_and_expires() {
    let mut office = Office::new();
    let answer = office.send("Contact: <sip:alice@192.0.2.9>\nExpires: 600\n").unwrap();
    assert_eq!(answer, ["<sip:alice@192.0.2.9>;expires=600"]);
    office.now += Duration::from_millis(100_500);
    assert_eq!(office.send("").unwrap(), ["<sip:alice@192.0.2.9>;expires=500"]);
    assert_eq!(office.registrar.deadline(), Some(office.now + Duration::from_millis(499_500)));
    office.now += Duration::from_millis(499_500);
    assert_eq!(office.contacts(), [""; 0]);
    office.registrar.tick(office.now);
    assert_eq!(office.changes(), [Change::Registered, Change::Expired]);
    assert!(office.registrar.is_empty() && office.registrar.deadline().is_none());
}

#[test]
fn refreshed_contact_lives_on() {
    let mut office = Office::new();
    for _ in 0..5 {
        office.send("Contact: <sip:alice@192.0.2.9>;expires=100\n").unwrap();
        office.now += Duration::from_secs(90);
        office.registrar.tick(office.now);
    }
    assert_eq!(office.contacts(), ["sip:alice@192.0.2.9"]);
    assert_eq!(office.changes()[..2], [Change::Registered, Change::Refreshed]);
    assert_eq!(office.registrar.expiries.len(), 1);
}

#[test]
fn a_contact_that_is_reached_another_way_has_moved() {
    let mut office = Office::new();
    let contact = "Contact: <sip:alice@192.0.2.9>\n";
    for (cseq, connection) in [(1, 0), (2, 0), (3, 7), (4, 7)] {
        office.send_as("one", cseq, contact, flow(connection)).unwrap();
    }
    assert_eq!(office.changes(), [Change::Registered, Change::Refreshed, Change::Moved, Change::Refreshed]);
}

#[test]
fn terms_are_those_of_the_registrar() {
    let mut office = Office::new();
    assert_eq!(office.send("Contact: <sip:a@192.0.2.9>\n").unwrap(), ["<sip:a@192.0.2.9>;expires=3600"]);
    let long = office.send("Contact: <sip:a@192.0.2.9>;expires=90000\n").unwrap();
    assert_eq!(long, ["<sip:a@192.0.2.9>;expires=7200"]);
    assert_eq!(office.send("Contact: <sip:a@192.0.2.9>;expires=59\n"), Err(423));
    let request = register("x", 1, "Contact: <sip:a@h>;expires=1\n");
    let refusal = office.registrar.register(office.now, AOR, &request, flow(0)).unwrap_err();
    assert_eq!(refusal.headers, [(Name::MinExpires, "60".to_owned())]);
}

#[test]
fn contacts_are_found_in_the_order_of_preference() {
    let mut office = Office::new();
    office.send("Contact: <sip:low@h>;q=0.2, <sip:high@h>\nContact: <sip:mid@h>;q=0.75\n").unwrap();
    office.now += Duration::from_secs(1);
    office.send("Contact: <sip:young@h>\n").unwrap();
    assert_eq!(office.contacts(), ["sip:young@h", "sip:high@h", "sip:mid@h", "sip:low@h"]);
    assert_eq!(office.send("").unwrap()[0], "<sip:low@h>;expires=3599;q=0.200");
}

#[test]
fn contacts_are_removed_one_by_one_or_all_at_once() {
    let mut office = Office::new();
    office.send("Contact: <sip:a@h>, <sip:b@h>, <sip:c@h>\n").unwrap();
    office.send("Contact: <sip:b@H>;expires=0, <sip:never@h>;expires=0\n").unwrap();
    assert_eq!(office.contacts(), ["sip:a@h", "sip:c@h"]);
    assert_eq!(office.send("Contact: *\nExpires: 5\n"), Err(400));
    assert_eq!(office.send("Contact: *\n"), Err(400));
    assert_eq!(office.send("Contact: *, <sip:x@h>\nExpires: 0\n"), Err(400));
    assert_eq!(office.send("Contact: *\nExpires: 0\n").unwrap(), [""; 0]);
    assert!(office.registrar.is_empty());
}

#[test]
fn old_numbers_of_a_call_id_change_nothing() {
    let mut office = Office::new();
    office.send_as("one", 5, "Contact: <sip:a@h>\n", flow(0)).unwrap();
    assert_eq!(office.send_as("one", 5, "Contact: <sip:a@h>;expires=0\n", flow(0)), Err(500));
    assert_eq!(office.send_as("one", 4, "Contact: *\nExpires: 0\n", flow(0)), Err(500));
    // All or nothing: the new contact is not taken either.
    assert_eq!(office.send_as("one", 5, "Contact: <sip:b@h>, <sip:a@h>\n", flow(0)), Err(500));
    assert_eq!(office.contacts(), ["sip:a@h"]);
    // After a restart the phone starts over with another Call-ID.
    office.send_as("two", 1, "Contact: <sip:a@h>;expires=0\n", flow(0)).unwrap();
    assert_eq!(office.contacts(), [""; 0]);
}

#[test]
fn device_is_known_by_its_instance_whatever_its_address() {
    let mut office = Office::new();
    office.send(&format!("Supported: path, outbound\nContact: <sip:a@h:1>{DEVICE};reg-id=1\n")).unwrap();
    office.send(&format!("Supported: path, outbound\nContact: <sip:a@h:2>{DEVICE};reg-id=2\n")).unwrap();
    let answer = office.send(&format!("Supported: outbound\nContact: <sip:a@h:3>{DEVICE};reg-id=1\n")).unwrap();
    assert_eq!(answer[0], format!("<sip:a@h:3>;expires=3600{DEVICE};reg-id=1"));
    let mut contacts = office.contacts();
    contacts.sort();
    assert_eq!(contacts, ["sip:a@h:2", "sip:a@h:3"]);
}

#[test]
fn flows_are_numbered_where_device_and_first_hop_know_of_outbound() {
    let mut office = Office::new();
    let contact = format!("Contact: <sip:a@h>{DEVICE};reg-id=1\n");
    let asked = format!("Supported: outbound\n{contact}");
    let answer = office.send_as("one", 1, &asked, flow(7)).unwrap();
    assert_eq!(answer[1..], ["outbound", "120"]);
    // No CRLF keeps a NAT open for UDP.
    assert_eq!(office.send_as("one", 2, &asked, flow(0)).unwrap()[1..], ["outbound"]);
    // The device does not ask, has no name, or goes.
    let answer = office.send_as("two", 1, &contact, flow(7)).unwrap();
    assert!(answer.iter().all(|value| !value.contains("reg-id=1") || value.contains("sip:a@h>;expires=3600")));
    let nameless = office.send_as("two", 2, "Supported: outbound\nContact: <sip:b@h>;reg-id=1\n", flow(7)).unwrap();
    assert!(!nameless.contains(&"outbound".to_owned()));
    let gone = format!("Supported: outbound\nContact: <sip:a@h>{DEVICE};reg-id=1;expires=0\n");
    assert!(!office.send_as("one", 3, &gone, flow(7)).unwrap().contains(&"outbound".to_owned()));

    let mut office = Office::new();
    let behind = |path: &str| format!("Via: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKx\n{path}{asked}");
    assert_eq!(office.send(&behind("")), Err(439));
    assert_eq!(office.send(&behind("Path: <sip:p1;lr;ob>, <sip:edge;lr>\n")), Err(439));
    assert!(office.registrar.is_empty());
    office.send(&behind("Path: <sip:p1;lr>, <sip:edge;lr;ob>\n")).unwrap();
    assert_eq!(office.contacts(), ["sip:a@h"]);
}

#[test]
fn bindings_of_an_earlier_run_are_as_they_were() {
    let mut before = Office::new();
    before.send_as("one", 5, "Contact: <sip:a@h>;q=0.5;expires=600\nPath: <sip:p;lr>\n", flow(0)).unwrap();
    before.send_as("two", 1, "Contact: <sip:b@h>;expires=60\n", flow(7)).unwrap();
    let bindings: Vec<Binding> = before.registrar.lookup(before.now, AOR).into_iter().cloned().collect();

    let mut after = Office { now: before.now + Duration::from_secs(30), ..Office::new() };
    for binding in &bindings {
        assert!(after.registrar.restore(after.now, AOR, binding.clone()));
    }
    assert_eq!((after.contacts(), after.changes(), after.registrar.len()), (before.contacts(), Vec::new(), 2));
    // Old numbers are still old, and the terms are those that were agreed on.
    assert_eq!(after.send_as("one", 5, "Contact: <sip:a@h>\n", flow(0)), Err(500));
    assert_eq!(after.send_as("one", 6, "", flow(0)).unwrap()[0], "<sip:b@h>;expires=30");
    after.registrar.forget_flow(&flow(7));
    assert_eq!(after.contacts(), ["sip:a@h"]);
    after.now += Duration::from_secs(570);
    after.registrar.tick(after.now);
    assert_eq!(after.changes(), [Change::FlowLost, Change::Expired]);

    assert!(!after.registrar.restore(after.now, AOR, bindings[0].clone()), "expired");
    let config = RegistrarConfig { max_contacts: 1, ..RegistrarConfig::default() };
    let mut small = Registrar::new(config);
    assert!(small.restore(before.now, AOR, bindings[0].clone()));
    assert!(!small.restore(before.now, AOR, bindings[1].clone()), "one too many");
}

#[test]
fn path_is_kept_and_shown() {
    let mut office = Office::new();
    let answer = office.send("Contact: <sip:a@h>\nPath: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>\n").unwrap();
    assert_eq!(answer[1..], ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"]);
    assert_eq!(office.registrar.lookup(office.now, AOR)[0].path[1], "<sip:p2.example.com;lr>");
}

#[test]
fn bindings_of_a_closed_connection_are_gone() {
    let mut office = Office::new();
    office.send_as("one", 1, "Contact: <sip:a@one.invalid>\n", flow(7)).unwrap();
    office.send_as("two", 1, "Contact: <sip:b@two.invalid>\n", flow(8)).unwrap();
    office.registrar.forget_flow(&flow(7));
    assert_eq!(office.contacts(), ["sip:b@two.invalid"]);
    assert_eq!(office.changes(), [Change::Registered, Change::Registered, Change::FlowLost]);
}

#[test]
fn limits_hold() {
    let mut office = Office::new();
    for n in 0..10 {
        office.send(&format!("Contact: <sip:a@h{n}>\n")).unwrap();
    }
    assert_eq!(office.send("Contact: <sip:a@h10>\n"), Err(403));
    office.send("Contact: <sip:a@h9>\n").unwrap();
    assert_eq!(office.send(&format!("Contact: <sip:{}@h9>\n", "a".repeat(3_000))), Err(400));

    let config = RegistrarConfig { max_bindings: 1, ..RegistrarConfig::default() };
    let mut office = Office { registrar: Registrar::new(config), ..Office::new() };
    assert_eq!(office.send("Contact: <sip:a@h1>, <sip:a@h2>\n"), Err(503));
    office.send("Contact: <sip:a@h1>\n").unwrap();
}

#[test]
fn registering_and_unregistering_without_end_leaves_nothing_behind() {
    let mut office = Office::new();
    for _ in 0..5_000 {
        office.send("Contact: <sip:a@h>\n").unwrap();
        office.send("Contact: <sip:a@h>;expires=0\n").unwrap();
        office.changes();
        office.now += Duration::from_millis(1);
    }
    assert!(office.registrar.expiries.len() <= SLACK + 2);
}

#[test]
fn binding_is_small() {
    let mut office = Office::new();
    let contact = "<sip:alice@192.0.2.9:5060;transport=tcp;ob>";
    office.send(&format!("User-Agent: Some Phone/1.2.3\nContact: {contact}{DEVICE}\n")).unwrap();
    assert!(office.registrar.lookup(office.now, AOR)[0].size() < 500);
}

#[test]
fn a_device_that_asks_is_told_its_gruu() {
    let mut office = Office::new();
    let contact = format!("Contact: <sip:alice@192.0.2.9>{DEVICE}\n");
    let answer = office.send(&format!("{contact}Supported: gruu\n")).unwrap();
    let gr = "urn:uuid:00000000-0000-1000-8000-000a95a0e128";
    assert!(answer[0].ends_with(&format!(";pub-gruu=\"sip:{AOR};gr={gr}\"")), "{answer:?}");
    assert!(!office.send(&contact).unwrap()[0].contains("gruu"));
    let bindings = office.registrar.lookup(office.now, AOR);
    assert!(bindings[0].is_instance(gr) && !bindings[0].is_instance("urn:uuid:1"));
    // What no parameter can hold.
    let odd = "Contact: <sip:alice@192.0.2.8>;+sip.instance=\"<a;b>\"\nSupported: gruu\n";
    assert_eq!(office.send(odd).unwrap().iter().filter(|contact| contact.contains("gruu")).count(), 1);
}
