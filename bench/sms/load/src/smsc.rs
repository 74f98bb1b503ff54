//! An SMSC (SMPP 3.4) that takes everything: each submit_sm is answered at once, and its receipt follows a second later.

use std::collections::VecDeque;
use std::io::Result;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::tally::Tally;

// SMPP 3.4 5.1.2.1, command ids.
const BINDS: [u32; 3] = [0x1, 0x2, 0x9];
const SUBMIT_SM: u32 = 0x4;
const DELIVER_SM: u32 = 0x5;
const UNBIND: u32 = 0x6;
const ENQUIRE_LINK: u32 = 0x15;
const ANSWER: u32 = 0x8000_0000;
const HEADER: usize = 16;
/// From the answer to the receipt. Jasmin knows none that comes with the answer.
const DELIVERY: Duration = Duration::from_secs(1);
/// Octets of a PDU at most.
const MOST: u32 = 1 << 16;
/// SMPP 3.4 5.2.12: the message is a receipt.
const RECEIPT: u8 = 0x04;
/// SMPP 3.4 5.3.2.12 and 5.3.2.35: receipted_message_id, and message_state DELIVERED.
const RECEIPTED_MESSAGE_ID: [u8; 2] = [0x00, 0x1e];
const DELIVERED: [u8; 5] = [0x04, 0x27, 0x00, 0x01, 0x02];

pub async fn serve(listener: TcpListener, tally: Rc<Tally>) {
    let mut bound = 0_u32;
    while let Ok((stream, _)) = listener.accept().await {
        bound += 1;
        let tally = tally.clone();
        tokio::task::spawn_local(async move {
            // Who binds ends when it likes.
            let _ = session(stream, bound, &tally).await;
        });
    }
}

async fn session(mut stream: TcpStream, bound: u32, tally: &Tally) -> Result<()> {
    stream.set_nodelay(true)?;
    let (mut input, mut output) = (Vec::with_capacity(1 << 16), Vec::with_capacity(1 << 16));
    let mut receipts: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut taken = 0_u32;
    loop {
        tokio::select! {
            read = stream.read_buf(&mut input) => if read? == 0 { return Ok(()) },
            () = due(receipts.front()) => {}
        }
        let mut at = 0;
        while let Some(pdu) = next(&input, at) {
            at += pdu.len();
            let (command, sequence) = (word(pdu, 4), word(pdu, 12));
            match command {
                SUBMIT_SM => {
                    taken += 1;
                    let receipt = submit(pdu, sequence, &format!("{bound:x}-{taken:x}"), taken, tally, &mut output);
                    receipts.push_back((Instant::now() + DELIVERY, receipt));
                }
                UNBIND | ENQUIRE_LINK => write(&mut output, command | ANSWER, sequence, &[]),
                bind if BINDS.contains(&bind) => write(&mut output, bind | ANSWER, sequence, b"load\0"),
                // Answers to our deliver_sm.
                _ => {}
            }
        }
        input.drain(..at);
        let now = Instant::now();
        while let Some((_, receipt)) = receipts.pop_front_if(|(due, _)| *due <= now) {
            output.extend_from_slice(&receipt);
        }
        stream.write_all(&output).await?;
        output.clear();
    }
}

async fn due(first: Option<&(Instant, Vec<u8>)>) {
    match first {
        Some((due, _)) => tokio::time::sleep_until(*due).await,
        None => std::future::pending().await,
    }
}

fn next(input: &[u8], at: usize) -> Option<&[u8]> {
    let rest = input.get(at..)?;
    let length = rest.get(..4).map(|_| word(rest, 0))?.clamp(HEADER as u32, MOST);
    rest.get(..usize::try_from(length).ok()?)
}

fn word(pdu: &[u8], at: usize) -> u32 {
    pdu.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes)
}

fn write(output: &mut Vec<u8>, command: u32, sequence: u32, body: &[u8]) {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(MOST);
    for word in [length, command, 0, sequence] {
        output.extend_from_slice(&word.to_be_bytes());
    }
    output.extend_from_slice(body);
}

/// Answers it; the receipt.
fn submit(pdu: &[u8], sequence: u32, id: &str, number: u32, tally: &Tally, output: &mut Vec<u8>) -> Vec<u8> {
    // SMPP 3.4 4.4.1: service_type, source and destination stand first.
    let mut body = pdu.get(HEADER..).unwrap_or_default();
    let _service = text(&mut body);
    body = body.get(2..).unwrap_or_default();
    let source = text(&mut body);
    body = body.get(2..).unwrap_or_default();
    let destination = text(&mut body);
    let digits = destination.strip_prefix(b"+").unwrap_or(destination);
    if let Some(recipient) = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()) {
        tally.submitted(recipient);
    }
    write(output, SUBMIT_SM | ANSWER, sequence, &[id.as_bytes(), b"\0"].concat());
    let told =
        format!("id:{id} sub:001 dlvrd:001 submit date:2611300000 done date:2611300000 stat:DELIVRD err:000 text:x");
    let id_length = u16::try_from(id.len() + 1).unwrap_or_default().to_be_bytes();
    let parts: [&[u8]; 14] = [
        b"\0\x01\x01",
        destination,
        b"\0\x01\x01",
        source,
        b"\0",
        &[RECEIPT, 0, 0, 0, 0, 0, 0, 0, 0],
        &[u8::try_from(told.len()).unwrap_or_default()],
        told.as_bytes(),
        &RECEIPTED_MESSAGE_ID,
        &id_length,
        id.as_bytes(),
        b"\0",
        &DELIVERED,
        b"",
    ];
    let mut receipt = Vec::new();
    write(&mut receipt, DELIVER_SM, number, &parts.concat());
    receipt
}

/// A C-octet string, without its end.
fn text<'a>(body: &mut &'a [u8]) -> &'a [u8] {
    let end = memchr::memchr(0, body).unwrap_or(body.len());
    let (text, rest) = body.split_at(end);
    *body = rest.get(1..).unwrap_or_default();
    text
}
