//! HTTP/1.1, as little of it as the servers under test need: keep-alive, Content-Length and chunks.

use std::io::{Error, ErrorKind, Result};
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::tally::Tally;

/// Octets of a request or an answer at most.
const MOST: usize = 1 << 20;
/// Jasmin wants to read this.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nACK/Jasmin";

/// A connection and what was read of it.
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A request or an answer.
pub struct Text {
    pub head: Vec<u8>,
    pub body: Vec<u8>,
}

impl Wire {
    pub fn new(stream: TcpStream) -> Result<Wire> {
        stream.set_nodelay(true)?;
        Ok(Wire { stream, buffer: Vec::with_capacity(4096) })
    }

    pub async fn write(&mut self, octets: &[u8]) -> Result<()> {
        self.stream.write_all(octets).await
    }

    async fn more(&mut self) -> Result<()> {
        if self.buffer.len() > MOST {
            return Err(ErrorKind::FileTooLarge.into());
        }
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn take(&mut self, octets: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(octets);
        std::mem::replace(&mut self.buffer, rest)
    }

    async fn until(&mut self, mark: &[u8]) -> Result<Vec<u8>> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, mark) {
                return Ok(self.take(at + mark.len()));
            }
            self.more().await?;
        }
    }

    async fn octets(&mut self, count: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < count {
            self.more().await?;
        }
        Ok(self.take(count))
    }

    /// The next request or answer.
    pub async fn read(&mut self) -> Result<Text> {
        let head = self.until(b"\r\n\r\n").await?;
        let lower = head.to_ascii_lowercase();
        let length = header(&lower, b"content-length:").and_then(|text| text.parse().ok()).unwrap_or(0);
        if header(&lower, b"transfer-encoding:") != Some("chunked") {
            let body = self.octets(length).await?;
            return Ok(Text { head, body });
        }
        let mut body = Vec::new();
        loop {
            let line = self.until(b"\r\n").await?;
            let size = std::str::from_utf8(&line).ok().and_then(|line| usize::from_str_radix(line.trim(), 16).ok());
            let size = size.ok_or_else(|| Error::from(ErrorKind::InvalidData))?;
            let chunk = self.octets(size + 2).await?;
            if size == 0 {
                return Ok(Text { head, body });
            }
            body.extend_from_slice(chunk.get(..size).unwrap_or_default());
        }
    }
}

/// Of a head in lower case.
fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let rest = head.get(memchr::memmem::find(head, name)? + name.len()..)?;
    let end = memchr::memchr(b'\r', rest)?;
    std::str::from_utf8(rest.get(..end)?).ok().map(str::trim)
}

/// Takes what is told, and says so.
pub async fn serve(listener: TcpListener, tally: Rc<Tally>) {
    while let Ok((stream, _)) = listener.accept().await {
        let tally = tally.clone();
        tokio::task::spawn_local(async move {
            // Who is told ends when the teller does.
            let _ = take(stream, &tally).await;
        });
    }
}

async fn take(stream: TcpStream, tally: &Tally) -> Result<()> {
    let mut wire = Wire::new(stream)?;
    loop {
        let request = wire.read().await?;
        let mut told = request.head.split(|c| *c == b'\r').next().unwrap_or_default().to_vec();
        told.push(b'\n');
        told.extend_from_slice(&request.body);
        tally.heard(&told);
        wire.write(ANSWER).await?;
    }
}
