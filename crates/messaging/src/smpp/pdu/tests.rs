use super::*;

fn message() -> ShortMessage {
    ShortMessage {
        source: Address::e164(12025550100),
        destination: Address::e164(12125550199),
        registered_delivery: 1,
        body: Bytes::from_static(b"hello"),
        ..ShortMessage::default()
    }
}

fn read(octets: &[u8]) -> Result<Frame, Malformed> {
    decode(BytesMut::from(octets))
}

#[test]
fn the_bind_of_the_standard() {
    // SMPP 3.4 2.3.1's example, with version 3.4.
    let octets = [
        0x00, 0x00, 0x00, 0x2f, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x53, 0x4d,
        0x50, 0x50, 0x33, 0x54, 0x45, 0x53, 0x54, 0x00, 0x73, 0x65, 0x63, 0x72, 0x65, 0x74, 0x30, 0x38, 0x00, 0x53,
        0x55, 0x42, 0x4d, 0x49, 0x54, 0x31, 0x00, 0x34, 0x00, 0x00, 0x00,
    ];
    let frame = read(&octets).unwrap();
    let bind = Bind {
        kind: BindKind::Transmitter,
        system_id: "SMPP3TEST".into(),
        password: "secret08".into(),
        system_type: "SUBMIT1".into(),
        version: VERSION_3_4,
    };
    assert_eq!(frame, Frame::request(1, Pdu::Bind(bind)));
    assert_eq!(frame.encode().unwrap()[..], octets);
}

#[test]
fn a_password_may_be_a_token() {
    let password = "x".repeat(48);
    let mut octets = b"\0\0\0\x00\0\0\0\x09\0\0\0\0\0\0\0\x01me\0".to_vec();
    octets.extend(password.as_bytes());
    octets.extend(b"\0\0\x34\0\0\0");
    octets[3] = octets.len() as u8;
    let Pdu::Bind(bind) = read(&octets).unwrap().pdu else { panic!("no bind") };
    assert_eq!((bind.kind, &*bind.system_id, bind.password), (BindKind::Transceiver, "me", password));
}

#[test]
fn a_submit_has_no_bits_nobody_set() {
    let octets = Frame::request(7, Pdu::Submit(message())).encode().unwrap();
    // service_type, then source (1, 1, 11 digits and zero), destination, esm_class.
    let esm_class = HEADER + 1 + 14 + 14;
    assert_eq!(octets[esm_class], 0);
    assert_eq!(read(&octets).unwrap().pdu, Pdu::Submit(message()));
}

#[test]
fn long_user_data_goes_in_message_payload() {
    let long = ShortMessage { body: Bytes::from(vec![b'a'; 255]), ..message() };
    let octets = Frame::request(7, Pdu::Submit(long.clone())).encode().unwrap();
    assert_eq!(read(&octets).unwrap().pdu, Pdu::Submit(long));
    let too_long = ShortMessage { body: Bytes::from(vec![b'a'; 65_536]), ..message() };
    let refused = Frame::request(7, Pdu::Submit(too_long)).encode();
    assert_eq!(refused, Err(Unencodable { field: "message_payload" }));
}

#[test]
fn receipt_tlvs_come_back() {
    let mut receipt = ShortMessage {
        receipted_message_id: Some("42".into()),
        message_state: Some(MessageState::Undeliverable),
        sar: Some(Concatenation { reference: 300, total: 2, number: 1 }),
        ..message()
    };
    receipt.set_receipt();
    let octets = Frame::request(7, Pdu::Deliver(receipt.clone())).encode().unwrap();
    assert_eq!(read(&octets).unwrap().pdu, Pdu::Deliver(receipt));
}

#[test]
fn data_sm_carries_what_the_others_do() {
    let mut data = ShortMessage {
        body: Bytes::from(vec![b'a'; 300]),
        validity: Some(Duration::from_secs(600)),
        reference: Some(7),
        receipted_message_id: Some("42".into()),
        message_state: Some(MessageState::Delivered),
        sar: Some(Concatenation { reference: 300, total: 2, number: 1 }),
        ..message()
    };
    data.set_receipt();
    let octets = Frame::request(7, Pdu::Data(data.clone())).encode().unwrap();
    assert_eq!(octets[4..8], [0, 0, 1, 3]);
    assert_eq!(read(&octets).unwrap().pdu, Pdu::Data(data));
    for congestion in [None, Some(0), Some(85), Some(100)] {
        for pdu in [
            Pdu::DataResp { message_id: "1".into(), congestion },
            Pdu::SubmitResp { message_id: "1".into(), congestion },
        ] {
            let octets = Frame::request(7, pdu.clone()).encode().unwrap();
            assert_eq!(read(&octets).unwrap().pdu, pdu);
        }
    }
}

#[test]
fn versions_come_back() {
    let kind = BindKind::Transceiver;
    for version in [VERSION_3_4, VERSION_5_0] {
        let (system_id, password, system_type) = ("a".into(), "b".into(), String::new());
        let bind = Pdu::Bind(Bind { kind, system_id, password, system_type, version });
        assert_eq!(read(&Frame::request(1, bind.clone()).encode().unwrap()).unwrap().pdu, bind);
    }
    for version in [None, Some(VERSION_3_4), Some(VERSION_5_0)] {
        let answer = Pdu::BindResp { kind, system_id: "smsc".into(), version };
        assert_eq!(read(&Frame::request(1, answer.clone()).encode().unwrap()).unwrap().pdu, answer);
    }
}

#[test]
fn a_refusal_is_a_header_alone() {
    let refusal = Frame {
        status: Status::THROTTLED,
        sequence: 9,
        pdu: Pdu::SubmitResp { message_id: "x".into(), congestion: None },
    };
    let octets = refusal.encode().unwrap();
    assert_eq!(octets.len(), HEADER);
    let expected = Frame { pdu: Pdu::SubmitResp { message_id: String::new(), congestion: None }, ..refusal };
    assert_eq!(read(&octets).unwrap(), expected);
}

#[test]
fn fields_that_do_not_fit_are_refused() {
    let long = ShortMessage { source: Address { text: "1".repeat(21), ..Address::default() }, ..message() };
    assert_eq!(Frame::request(1, Pdu::Submit(long)).encode(), Err(Unencodable { field: "source_addr" }));
}

#[test]
fn validity_is_relative_time() {
    let text = |seconds| validity(Some(Duration::from_secs(seconds))).unwrap().to_string();
    assert_eq!(text(600), "000000001000000R");
    assert_eq!(text(90_061), "000001010101000R");
    assert_eq!(validity(None).unwrap().to_string(), "");
    for seconds in [1, 600, 90_061] {
        assert_eq!(read_validity(&text(seconds)), Some(Duration::from_secs(seconds)));
    }
    for other in ["", "261130120000000+", "00000000100000R", "0000000é1000000R"] {
        assert_eq!(read_validity(other), None);
    }
}

#[test]
fn octets_may_come_one_by_one() {
    let mut deframer = Deframer::default();
    let octets = Frame::request(7, Pdu::Submit(message())).encode().unwrap();
    for octet in &octets[..octets.len() - 1] {
        deframer.push(&[*octet]);
        assert_eq!(deframer.next_frame(), None);
    }
    deframer.push(&octets[octets.len() - 1..]);
    assert_eq!(deframer.next_frame(), Some(Ok(Frame::request(7, Pdu::Submit(message())))));
    assert_eq!(deframer.next_frame(), None);
}

#[test]
fn a_broken_body_does_not_cost_the_next_pdu() {
    let mut deframer = Deframer::default();
    let mut broken = Frame::request(7, Pdu::Submit(message())).encode().unwrap().to_vec();
    broken.truncate(30);
    broken[3] = 30;
    deframer.push(&broken);
    deframer.push(&Frame::request(8, Pdu::EnquireLink).encode().unwrap());
    assert_eq!(deframer.next_frame(), Some(Err(Malformed::Body { command_id: 4, sequence: 7 })));
    assert_eq!(deframer.next_frame(), Some(Ok(Frame::request(8, Pdu::EnquireLink))));
}

#[test]
fn a_length_out_of_range_ends_the_stream() {
    let mut deframer = Deframer::default();
    deframer.push(b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(deframer.next_frame(), Some(Err(Malformed::Length(0x4745_5420))));
    deframer.push(&Frame::request(8, Pdu::EnquireLink).encode().unwrap());
    assert_eq!(deframer.next_frame(), None);
}
