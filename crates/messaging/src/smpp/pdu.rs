//! PDUs as a session needs them, and their framing. Octets are rusmpp's; this file picks the fields in use and keeps
//! the codec's own types out of the rest of the product.

#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use rusmpp::decode::DecodeWithLength;
use rusmpp::encode::{Encode, Length};
use rusmpp::pdus;
use rusmpp::tlvs::{
    MessageDeliveryRequestTlvValue, MessageDeliveryResponseTlvValue, MessageSubmissionRequestTlvValue,
    MessageSubmissionResponseTlvValue, Tlv, TlvTag, TlvValue,
};
use rusmpp::types::{AnyOctetString, COctetString, EmptyOrFullCOctetString, OctetString};
use rusmpp::values::{
    EsmClass, InterfaceVersion, MessagePayload, Npi, PriorityFlag, RegisteredDelivery, Ton, UserMessageReference,
};
use rusmpp::{Command, CommandId, CommandStatus};

use super::address::Address;
use super::receipt::MessageState;
use super::status::Status;
use crate::segment::{Concatenation, split_header};

/// Octets of a header: length, id, status, sequence.
pub const HEADER: usize = 16;
/// Largest PDU taken, octets: a message_payload of 64 KiB and everything else a submit_sm can carry.
pub const MAX_LENGTH: usize = 68 * 1024;
/// SMPP 3.4 5.2.21: longer user data goes in message_payload.
const MAX_SHORT_MESSAGE: usize = 254;
/// Longest field of a bind that is read, octets.
const MAX_BIND_FIELD: usize = 128;
/// interface_version (SMPP 3.4 5.2.4, SMPP 5.0 4.7.13).
pub const VERSION_3_4: u8 = 0x34;
pub const VERSION_5_0: u8 = 0x50;

/// esm_class bits (SMPP 3.4 5.2.12).
const ESM_UDHI: u8 = 0x40;
const ESM_TYPE: u8 = 0x3c;
const ESM_RECEIPT: u8 = 0x04;
/// Intermediate delivery notification: it reads like a receipt.
const ESM_INTERMEDIATE: u8 = 0x20;

/// What an ESME binds as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BindKind {
    Transmitter,
    Receiver,
    Transceiver,
}

impl BindKind {
    /// The ESME may submit.
    pub fn transmits(self) -> bool {
        self != BindKind::Receiver
    }

    /// The SMSC may deliver.
    pub fn receives(self) -> bool {
        self != BindKind::Transmitter
    }
}

/// bind_transmitter, bind_receiver, bind_transceiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    pub kind: BindKind,
    /// At most 15 ASCII characters.
    pub system_id: String,
    /// At most 8 ASCII characters, to be sent; longer ones are read.
    pub password: String,
    /// At most 12 ASCII characters.
    pub system_type: String,
    /// [`VERSION_3_4`], [`VERSION_5_0`], or what the peer says.
    pub version: u8,
}

/// submit_sm, deliver_sm or data_sm.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShortMessage {
    pub source: Address,
    pub destination: Address,
    /// SMPP 3.4 5.2.12.
    pub esm_class: u8,
    /// SMPP 3.4 5.2.19.
    pub data_coding: u8,
    /// SMPP 3.4 5.2.17: bits 0 and 1 ask for a receipt, 1 always, 2 on failure only.
    pub registered_delivery: u8,
    /// How long the SMSC may try. Sent and read as relative time, whole seconds, or, in data_sm, as `qos_time_to_live`;
    /// absolute time is not read.
    pub validity: Option<Duration>,
    /// The peer wants it sent later (`schedule_delivery_time`). Never sent.
    pub scheduled: bool,
    /// User data with its header, from short_message or message_payload.
    pub body: Bytes,
    /// `receipted_message_id`, of receipts.
    pub receipted_message_id: Option<String>,
    /// `message_state`, of receipts.
    pub message_state: Option<MessageState>,
    /// SAR TLVs: the other way to say where a segment belongs.
    pub sar: Option<Concatenation>,
    /// `user_message_reference`: the ESME's own, the same each time it submits the message.
    pub reference: Option<u16>,
}

impl ShortMessage {
    /// A delivery receipt or an intermediate notification.
    pub fn is_receipt(&self) -> bool {
        matches!(self.esm_class & ESM_TYPE, ESM_RECEIPT | ESM_INTERMEDIATE)
    }

    /// The body begins with a user data header.
    pub fn has_header(&self) -> bool {
        self.esm_class & ESM_UDHI != 0
    }

    /// Where in a concatenation it is, by header or SAR TLVs, if it is in one of several; and the user data without header.
    /// `None` where the header does not parse.
    pub fn split(&self) -> Option<(Option<Concatenation>, &[u8])> {
        let (place, body) = match self.has_header() {
            false => (None, &self.body[..]),
            true => split_header(&self.body)?,
        };
        Some((place.or(self.sar).filter(|place| place.total > 1), body))
    }

    /// Marks the body as beginning with a user data header.
    pub fn set_header(&mut self) {
        self.esm_class |= ESM_UDHI;
    }

    /// Marks a deliver_sm as a receipt.
    pub fn set_receipt(&mut self) {
        self.esm_class |= ESM_RECEIPT;
    }

    /// A receipt is wanted for this outcome.
    pub fn wants_receipt(&self, delivered: bool) -> bool {
        // 3 is reserved in 3.4 and means "on success only" in 5.0.
        match self.registered_delivery & 0x03 {
            0 => false,
            1 => true,
            2 => !delivered,
            _ => delivered,
        }
    }
}

/// The operations a session knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pdu {
    Bind(Bind),
    BindResp {
        kind: BindKind,
        system_id: String,
        /// `sc_interface_version`: what the SMSC speaks.
        version: Option<u8>,
    },
    Submit(ShortMessage),
    SubmitResp {
        message_id: String,
        /// `congestion_state` (SMPP 5.0 4.8.4.18): 0 idle to 100 congested.
        congestion: Option<u8>,
    },
    Deliver(ShortMessage),
    DeliverResp,
    /// Either way.
    Data(ShortMessage),
    DataResp {
        message_id: String,
        congestion: Option<u8>,
    },
    EnquireLink,
    EnquireLinkResp,
    Unbind,
    UnbindResp,
    GenericNack,
    /// Any other, by its command id.
    Other(u32),
}

/// One PDU with its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub status: Status,
    pub sequence: u32,
    pub pdu: Pdu,
}

/// A field does not fit the standard's type, so the PDU cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} does not fit its SMPP field")]
pub struct Unencodable {
    pub field: &'static str,
}

/// What came cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The stream is out of step: nothing after it can be read.
    #[error("command length {0} is not in {HEADER}..={MAX_LENGTH}")]
    Length(u32),
    /// The body does not parse; the next PDU can be read.
    #[error("body of command 0x{command_id:08x} does not parse")]
    Body { command_id: u32, sequence: u32 },
}

/// Cuts a stream into PDUs. Holds at most one incomplete PDU and what [`Deframer::push`] was given.
#[derive(Debug, Default)]
pub struct Deframer {
    buffer: BytesMut,
    /// The stream is out of step.
    lost: bool,
}

impl Deframer {
    pub fn push(&mut self, octets: &[u8]) {
        if !self.lost {
            self.buffer.extend_from_slice(octets);
        }
    }

    /// The next PDU, `None` until more octets come.
    pub fn next_frame(&mut self) -> Option<Result<Frame, Malformed>> {
        let header: [u8; 4] = self.buffer.get(..4)?.try_into().ok()?;
        let stated = u32::from_be_bytes(header);
        let length = stated as usize;
        if !(HEADER..=MAX_LENGTH).contains(&length) {
            self.lost = true;
            self.buffer.clear();
            return Some(Err(Malformed::Length(stated)));
        }
        if self.buffer.len() < length {
            return None;
        }
        Some(decode(self.buffer.split_to(length)))
    }
}

/// Reads exactly one PDU with its header. Also what the fuzz target drives.
pub fn decode(mut octets: BytesMut) -> Result<Frame, Malformed> {
    let word = |at: usize| match octets.get(at..at + 4) {
        Some(&[a, b, c, d]) => u32::from_be_bytes([a, b, c, d]),
        _ => 0,
    };
    let (stated, command_id, status, sequence) = (word(0), word(4), word(8), word(12));
    if octets.len() < HEADER || octets.len() != stated as usize {
        return Err(Malformed::Length(stated));
    }
    let failed = Malformed::Body { command_id, sequence };
    let body = octets.len() - HEADER;
    let frame = |pdu| Ok(Frame { status: Status(status), sequence, pdu });
    // A failed request's answer need not have a body (SMPP 3.4 4.4.2), and some peers add one where none belongs:
    // for those the header says all.
    match CommandId::from(command_id) {
        CommandId::EnquireLink => return frame(Pdu::EnquireLink),
        CommandId::EnquireLinkResp => return frame(Pdu::EnquireLinkResp),
        CommandId::Unbind => return frame(Pdu::Unbind),
        CommandId::UnbindResp => return frame(Pdu::UnbindResp),
        CommandId::GenericNack => return frame(Pdu::GenericNack),
        CommandId::DeliverSmResp => return frame(Pdu::DeliverResp),
        CommandId::SubmitSmResp if body == 0 => {
            return frame(Pdu::SubmitResp { message_id: String::new(), congestion: None });
        }
        CommandId::DataSmResp if body == 0 => {
            return frame(Pdu::DataResp { message_id: String::new(), congestion: None });
        }
        CommandId::BindTransmitterResp if body == 0 => return frame(empty_bind_resp(BindKind::Transmitter)),
        CommandId::BindReceiverResp if body == 0 => return frame(empty_bind_resp(BindKind::Receiver)),
        CommandId::BindTransceiverResp if body == 0 => return frame(empty_bind_resp(BindKind::Transceiver)),
        CommandId::BindTransmitter => return read_bind(BindKind::Transmitter, &octets).ok_or(failed).and_then(frame),
        CommandId::BindReceiver => return read_bind(BindKind::Receiver, &octets).ok_or(failed).and_then(frame),
        CommandId::BindTransceiver => return read_bind(BindKind::Transceiver, &octets).ok_or(failed).and_then(frame),
        CommandId::BindTransmitterResp
        | CommandId::BindReceiverResp
        | CommandId::BindTransceiverResp
        | CommandId::SubmitSm
        | CommandId::SubmitSmResp
        | CommandId::DeliverSm
        | CommandId::DataSm
        | CommandId::DataSmResp => {}
        other => return frame(Pdu::Other(other.into())),
    }
    // The codec wants the octets after the length, and their number.
    let mut rest = octets.split_off(4);
    let length = rest.len();
    let (command, _) = Command::decode(&mut rest, length).map_err(|_| failed)?;
    let pdu = match command.pdu() {
        Some(rusmpp::Pdu::BindTransmitterResp(body)) => {
            bind_resp(BindKind::Transmitter, body.system_id.as_str(), body.sc_interface_version())
        }
        Some(rusmpp::Pdu::BindReceiverResp(body)) => {
            bind_resp(BindKind::Receiver, body.system_id.as_str(), body.sc_interface_version())
        }
        Some(rusmpp::Pdu::BindTransceiverResp(body)) => {
            bind_resp(BindKind::Transceiver, body.system_id.as_str(), body.sc_interface_version())
        }
        Some(rusmpp::Pdu::SubmitSmResp(body)) => {
            Pdu::SubmitResp { message_id: body.message_id().as_str().to_owned(), congestion: congestion(body.tlvs()) }
        }
        Some(rusmpp::Pdu::DataSmResp(body)) => {
            Pdu::DataResp { message_id: body.message_id().as_str().to_owned(), congestion: congestion(body.tlvs()) }
        }
        Some(rusmpp::Pdu::DataSm(body)) => Pdu::Data(with_tlvs(
            ShortMessage {
                source: address(body.source_addr_ton, body.source_addr_npi, body.source_addr.as_str()),
                destination: address(body.dest_addr_ton, body.dest_addr_npi, body.destination_addr.as_str()),
                esm_class: body.esm_class.into(),
                data_coding: body.data_coding.into(),
                registered_delivery: body.registered_delivery.into(),
                validity: time_to_live(body.tlvs()),
                ..ShortMessage::default()
            },
            body.tlvs(),
        )),
        Some(rusmpp::Pdu::SubmitSm(body)) => Pdu::Submit(with_tlvs(
            ShortMessage {
                source: address(body.source_addr_ton, body.source_addr_npi, body.source_addr.as_str()),
                destination: address(body.dest_addr_ton, body.dest_addr_npi, body.destination_addr.as_str()),
                esm_class: body.esm_class.into(),
                data_coding: body.data_coding.into(),
                registered_delivery: body.registered_delivery.into(),
                validity: read_validity(body.validity_period.as_str()),
                scheduled: !body.schedule_delivery_time.as_str().is_empty(),
                body: body.short_message().clone().into_bytes(),
                ..ShortMessage::default()
            },
            body.tlvs(),
        )),
        Some(rusmpp::Pdu::DeliverSm(body)) => Pdu::Deliver(with_tlvs(
            ShortMessage {
                source: address(body.source_addr_ton, body.source_addr_npi, body.source_addr.as_str()),
                destination: address(body.dest_addr_ton, body.dest_addr_npi, body.destination_addr.as_str()),
                esm_class: body.esm_class.into(),
                data_coding: body.data_coding.into(),
                registered_delivery: body.registered_delivery.into(),
                body: body.short_message().clone().into_bytes(),
                ..ShortMessage::default()
            },
            body.tlvs(),
        )),
        _ => return Err(failed),
    };
    frame(pdu)
}

/// Leniently: the password of a customer may be a token, which is longer than SMPP 3.4 4.1.1 has it. What stands behind the
/// version does not matter here.
fn read_bind(kind: BindKind, octets: &[u8]) -> Option<Pdu> {
    let mut rest = octets.get(HEADER..)?;
    let mut field = || {
        let end = rest.iter().position(|octet| *octet == 0)?;
        let (text, next) = (rest.get(..end)?, rest.get(end + 1..)?);
        rest = next;
        (text.len() <= MAX_BIND_FIELD && text.is_ascii()).then(|| String::from_utf8_lossy(text).into_owned())
    };
    let (system_id, password, system_type) = (field()?, field()?, field()?);
    let version = rest.first().copied().unwrap_or(VERSION_3_4);
    Some(Pdu::Bind(Bind { kind, system_id, password, system_type, version }))
}

fn empty_bind_resp(kind: BindKind) -> Pdu {
    bind_resp(kind, "", None)
}

fn bind_resp(kind: BindKind, system_id: &str, version: Option<InterfaceVersion>) -> Pdu {
    Pdu::BindResp { kind, system_id: system_id.to_owned(), version: version.map(u8::from) }
}

fn congestion(tlvs: &[Tlv]) -> Option<u8> {
    tlvs.iter().filter_map(Tlv::value).find_map(|value| match value {
        TlvValue::CongestionState(state) => Some(u8::from(*state)),
        _ => None,
    })
}

fn time_to_live(tlvs: &[Tlv]) -> Option<Duration> {
    tlvs.iter().filter_map(Tlv::value).find_map(|value| match value {
        TlvValue::QosTimeToLive(seconds) => Some(Duration::from_secs((*seconds).into())),
        _ => None,
    })
}

fn address(ton: Ton, npi: Npi, text: &str) -> Address {
    Address { ton: ton.into(), npi: npi.into(), text: text.to_owned() }
}

fn with_tlvs(mut message: ShortMessage, tlvs: &[Tlv]) -> ShortMessage {
    let (mut reference, mut total, mut number) = (None, None, None);
    for value in tlvs.iter().filter_map(Tlv::value) {
        match value {
            TlvValue::MessagePayload(payload) => message.body = payload.value.clone().into_bytes(),
            TlvValue::ReceiptedMessageId(id) => message.receipted_message_id = Some(id.as_str().to_owned()),
            TlvValue::MessageState(state) => message.message_state = Some(MessageState::from_code((*state).into())),
            TlvValue::SarMsgRefNum(value) => reference = Some(*value),
            TlvValue::SarTotalSegments(value) => total = Some(*value),
            TlvValue::SarSegmentSeqnum(value) => number = Some(*value),
            TlvValue::UserMessageReference(value) => message.reference = Some(value.value),
            _ => {}
        }
    }
    if let (Some(reference), Some(total), Some(number)) = (reference, total, number) {
        message.sar =
            Some(Concatenation { reference, total, number }).filter(|sar| sar.number >= 1 && sar.number <= sar.total);
    }
    message
}

impl Frame {
    pub fn request(sequence: u32, pdu: Pdu) -> Frame {
        Frame { status: Status::OK, sequence, pdu }
    }

    /// The octets on the wire.
    pub fn encode(&self) -> Result<Bytes, Unencodable> {
        // An answer that carries an error has no body (SMPP 3.4 4.1.2, 4.4.2), whatever the command.
        if !self.status.is_ok()
            && let Some(command_id) = self.pdu.response_id()
        {
            return Ok(bare(command_id, self.status, self.sequence));
        }
        let pdu = match &self.pdu {
            Pdu::Bind(bind) => self.encode_bind(bind)?,
            Pdu::BindResp { kind, system_id, version } => {
                let system_id = text("system_id", system_id)?;
                let version = version.map(InterfaceVersion::from);
                match kind {
                    BindKind::Transmitter => pdus::BindTransmitterResp::new(system_id, version).into(),
                    BindKind::Receiver => pdus::BindReceiverResp::new(system_id, version).into(),
                    BindKind::Transceiver => pdus::BindTransceiverResp::new(system_id, version).into(),
                }
            }
            Pdu::Submit(message) => submit(message)?.into(),
            Pdu::Deliver(message) => deliver(message)?.into(),
            Pdu::Data(message) => data(message)?.into(),
            Pdu::SubmitResp { message_id, congestion } => {
                let (tag, state) = (TlvTag::CongestionState, congestion.map(octet));
                let tlvs = state.map(|value| MessageSubmissionResponseTlvValue::Other { tag, value });
                pdus::SubmitSmResp::new(text("message_id", message_id)?, tlvs.into_iter().collect()).into()
            }
            Pdu::DataResp { message_id, congestion } => {
                let (tag, state) = (TlvTag::CongestionState, congestion.map(octet));
                let tlvs = state.map(|value| MessageDeliveryResponseTlvValue::Other { tag, value });
                pdus::DataSmResp::new(text("message_id", message_id)?, tlvs.into_iter().collect()).into()
            }
            Pdu::DeliverResp => pdus::DeliverSmResp::new(COctetString::empty(), vec![]).into(),
            Pdu::EnquireLink => rusmpp::Pdu::EnquireLink,
            Pdu::EnquireLinkResp => rusmpp::Pdu::EnquireLinkResp,
            Pdu::Unbind => rusmpp::Pdu::Unbind,
            Pdu::UnbindResp => rusmpp::Pdu::UnbindResp,
            Pdu::GenericNack => rusmpp::Pdu::GenericNack,
            Pdu::Other(command_id) => return Ok(bare(*command_id, self.status, self.sequence)),
        };
        let command = Command::new(CommandStatus::from(self.status.0), self.sequence, pdu);
        let length = 4 + command.length();
        let mut octets = BytesMut::zeroed(length);
        octets[..4].copy_from_slice(&(length as u32).to_be_bytes());
        command.encode(&mut octets[4..]);
        Ok(octets.freeze())
    }

    fn encode_bind(&self, bind: &Bind) -> Result<rusmpp::Pdu, Unencodable> {
        let system_id = text("system_id", &bind.system_id)?;
        let password = text("password", &bind.password)?;
        let system_type = text("system_type", &bind.system_type)?;
        let range = COctetString::empty();
        let (ton, npi, version) = (Ton::Unknown, Npi::Unknown, InterfaceVersion::from(bind.version));
        Ok(match bind.kind {
            BindKind::Transmitter => {
                pdus::BindTransmitter::new(system_id, password, system_type, version, ton, npi, range).into()
            }
            BindKind::Receiver => {
                pdus::BindReceiver::new(system_id, password, system_type, version, ton, npi, range).into()
            }
            BindKind::Transceiver => {
                pdus::BindTransceiver::new(system_id, password, system_type, version, ton, npi, range).into()
            }
        })
    }
}

impl Pdu {
    /// The command id, when it is an answer.
    fn response_id(&self) -> Option<u32> {
        Some(match self {
            Pdu::BindResp { kind: BindKind::Transmitter, .. } => CommandId::BindTransmitterResp.into(),
            Pdu::BindResp { kind: BindKind::Receiver, .. } => CommandId::BindReceiverResp.into(),
            Pdu::BindResp { kind: BindKind::Transceiver, .. } => CommandId::BindTransceiverResp.into(),
            Pdu::SubmitResp { .. } => CommandId::SubmitSmResp.into(),
            Pdu::DeliverResp => CommandId::DeliverSmResp.into(),
            Pdu::DataResp { .. } => CommandId::DataSmResp.into(),
            Pdu::EnquireLinkResp => CommandId::EnquireLinkResp.into(),
            Pdu::UnbindResp => CommandId::UnbindResp.into(),
            Pdu::GenericNack => CommandId::GenericNack.into(),
            Pdu::Bind(_)
            | Pdu::Submit(_)
            | Pdu::Deliver(_)
            | Pdu::Data(_)
            | Pdu::EnquireLink
            | Pdu::Unbind
            | Pdu::Other(_) => return None,
        })
    }
}

/// A header alone.
fn bare(command_id: u32, status: Status, sequence: u32) -> Bytes {
    let mut octets = BytesMut::with_capacity(HEADER);
    octets.put_u32(HEADER as u32);
    octets.put_u32(command_id);
    octets.put_u32(status.0);
    octets.put_u32(sequence);
    octets.freeze()
}

fn text<const MAX: usize>(field: &'static str, value: &str) -> Result<COctetString<1, MAX>, Unencodable> {
    COctetString::from_string(value.to_owned()).map_err(|_| Unencodable { field })
}

/// SMPP 3.4 7.1.1.2: relative time, `YYMMDDhhmmss000R`. At most 30 days, so that no month is needed.
fn validity(period: Option<Duration>) -> Result<EmptyOrFullCOctetString<17>, Unencodable> {
    let Some(period) = period else { return Ok(EmptyOrFullCOctetString::empty()) };
    let seconds = period.as_secs().clamp(1, 30 * 86_400);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let relative = format!("0000{days:02}{:02}{:02}{:02}000R", rest / 3_600, rest % 3_600 / 60, rest % 60);
    EmptyOrFullCOctetString::from_string(relative).map_err(|_| Unencodable { field: "validity_period" })
}

/// The other way; `None` for what is empty, absolute or no time.
fn read_validity(text: &str) -> Option<Duration> {
    let digits =
        text.strip_suffix('R').filter(|digits| digits.len() == 15 && digits.bytes().all(|c| c.is_ascii_digit()))?;
    let pair = |at: usize| digits.get(at..at + 2)?.parse::<u64>().ok();
    let days = pair(0)? * 365 + pair(2)? * 30 + pair(4)?;
    Some(Duration::from_secs(((days * 24 + pair(6)?) * 60 + pair(8)?) * 60 + pair(10)?))
}

/// User data as short_message, or as message_payload where it is too long for that.
fn user_data(message: &ShortMessage) -> Result<(OctetString<0, 255>, Option<MessagePayload>), Unencodable> {
    if message.body.len() <= MAX_SHORT_MESSAGE {
        let octets =
            OctetString::from_bytes(message.body.clone()).map_err(|_| Unencodable { field: "short_message" })?;
        return Ok((octets, None));
    }
    Ok((OctetString::empty(), Some(payload(message)?)))
}

fn payload(message: &ShortMessage) -> Result<MessagePayload, Unencodable> {
    if message.body.len() > usize::from(u16::MAX) {
        return Err(Unencodable { field: "message_payload" });
    }
    Ok(MessagePayload::new(AnyOctetString::from_bytes(message.body.clone())))
}

/// A TLV's value of one octet.
fn octet(value: u8) -> AnyOctetString {
    AnyOctetString::from_bytes(Bytes::copy_from_slice(&[value]))
}

fn submission_tlvs(message: &ShortMessage, payload: Option<MessagePayload>) -> Vec<MessageSubmissionRequestTlvValue> {
    let mut tlvs: Vec<MessageSubmissionRequestTlvValue> = Vec::new();
    tlvs.extend(payload.map(MessageSubmissionRequestTlvValue::MessagePayload));
    if let Some(sar) = message.sar {
        tlvs.push(MessageSubmissionRequestTlvValue::SarMsgRefNum(sar.reference));
        tlvs.push(MessageSubmissionRequestTlvValue::SarTotalSegments(sar.total));
        tlvs.push(MessageSubmissionRequestTlvValue::SarSegmentSeqnum(sar.number));
    }
    if let Some(reference) = message.reference {
        let reference = UserMessageReference::new(reference);
        tlvs.push(MessageSubmissionRequestTlvValue::UserMessageReference(reference));
    }
    tlvs
}

fn submit(message: &ShortMessage) -> Result<pdus::SubmitSm, Unencodable> {
    let (short_message, payload) = user_data(message)?;
    let tlvs = submission_tlvs(message, payload);
    Ok(pdus::SubmitSm::new(
        Default::default(),
        message.source.ton.into(),
        message.source.npi.into(),
        text("source_addr", &message.source.text)?,
        message.destination.ton.into(),
        message.destination.npi.into(),
        text("destination_addr", &message.destination.text)?,
        // Not the codec's default: that one sets the bits of a delivery acknowledgement.
        EsmClass::from(message.esm_class),
        0,
        PriorityFlag::from(0),
        EmptyOrFullCOctetString::empty(),
        validity(message.validity)?,
        RegisteredDelivery::from(message.registered_delivery),
        Default::default(),
        message.data_coding.into(),
        0,
        short_message,
        tlvs,
    ))
}

fn deliver(message: &ShortMessage) -> Result<pdus::DeliverSm, Unencodable> {
    let (short_message, payload) = user_data(message)?;
    let mut tlvs: Vec<MessageDeliveryRequestTlvValue> = Vec::new();
    tlvs.extend(payload.map(MessageDeliveryRequestTlvValue::MessagePayload));
    if let Some(id) = &message.receipted_message_id {
        tlvs.push(MessageDeliveryRequestTlvValue::ReceiptedMessageId(text("receipted_message_id", id)?));
    }
    if let Some(state) = message.message_state {
        tlvs.push(MessageDeliveryRequestTlvValue::MessageState(state.code().into()));
    }
    if let Some(sar) = message.sar {
        tlvs.push(MessageDeliveryRequestTlvValue::SarMsgRefNum(sar.reference));
        tlvs.push(MessageDeliveryRequestTlvValue::SarTotalSegments(sar.total));
        tlvs.push(MessageDeliveryRequestTlvValue::SarSegmentSeqnum(sar.number));
    }
    if let Some(reference) = message.reference {
        let reference = UserMessageReference::new(reference);
        tlvs.push(MessageDeliveryRequestTlvValue::UserMessageReference(reference));
    }
    Ok(pdus::DeliverSm::new(
        Default::default(),
        message.source.ton.into(),
        message.source.npi.into(),
        text("source_addr", &message.source.text)?,
        message.destination.ton.into(),
        message.destination.npi.into(),
        text("destination_addr", &message.destination.text)?,
        EsmClass::from(message.esm_class),
        0,
        PriorityFlag::from(0),
        EmptyOrFullCOctetString::empty(),
        EmptyOrFullCOctetString::empty(),
        RegisteredDelivery::from(message.registered_delivery),
        Default::default(),
        message.data_coding.into(),
        0,
        short_message,
        tlvs,
    ))
}

/// It may carry a receipt, too (SMPP 3.4 4.7.1).
fn data(message: &ShortMessage) -> Result<pdus::DataSm, Unencodable> {
    let mut tlvs = submission_tlvs(message, Some(payload(message)?));
    let mut other = |tag, value| tlvs.push(MessageSubmissionRequestTlvValue::Other { tag, value });
    if let Some(id) = &message.receipted_message_id {
        let id: COctetString<1, 65> = text("receipted_message_id", id)?;
        other(TlvTag::ReceiptedMessageId, AnyOctetString::from_bytes([id.as_str().as_bytes(), &[0]].concat().into()));
    }
    if let Some(state) = message.message_state {
        other(TlvTag::MessageState, octet(state.code()));
    }
    if let Some(validity) = message.validity {
        let seconds = u32::try_from(validity.as_secs()).unwrap_or(u32::MAX);
        tlvs.push(MessageSubmissionRequestTlvValue::QosTimeToLive(seconds));
    }
    Ok(pdus::DataSm::new(
        Default::default(),
        message.source.ton.into(),
        message.source.npi.into(),
        text("source_addr", &message.source.text)?,
        message.destination.ton.into(),
        message.destination.npi.into(),
        text("destination_addr", &message.destination.text)?,
        EsmClass::from(message.esm_class),
        RegisteredDelivery::from(message.registered_delivery),
        message.data_coding.into(),
        tlvs,
    ))
}
