//! `opentact sip`.

use std::fs::File;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use opentact_engine::ports::SipMessage;
use opentact_engine::trace::{Seen, ladder, pcap};

use crate::sip_watch::Watching;

#[derive(Debug, Subcommand)]
pub enum Sip {
    /// Print the SIP messages of a server on this machine as they come and go, until interrupted.
    Trace(Trace),
}

#[derive(Debug, Args)]
pub struct Trace {
    /// Data folder of the server.
    #[arg(long, env = "OPENTACT_DATA", value_name = "DIR", default_value = "./data")]
    data: PathBuf,
    /// Print messages whole.
    #[arg(long)]
    full: bool,
    /// Write a capture file for Wireshark instead (`-`: to standard output, for `wireshark -k -i -`).
    #[arg(long, value_name = "FILE", conflicts_with = "full")]
    pcap: Option<PathBuf>,
    /// End after this many messages.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    #[command(flatten)]
    filter: Filter,
}

/// Which messages; all that are given must hold.
#[derive(Debug, Args)]
struct Filter {
    /// Only requests of these methods and their responses (`INVITE,ACK,BYE`).
    #[arg(long = "method", value_name = "METHOD", value_delimiter = ',')]
    methods: Vec<String>,
    /// Only messages with this Call-ID.
    #[arg(long, value_name = "ID")]
    call_id: Option<String>,
    /// Only messages to and from this address.
    #[arg(long, value_name = "IP[:PORT]")]
    peer: Option<Peer>,
    /// Only messages that hold this text, such as a number or a name.
    #[arg(long, value_name = "TEXT")]
    with: Option<String>,
}

#[derive(Debug, Clone, Copy)]
enum Peer {
    Host(IpAddr),
    Port(SocketAddr),
}

impl FromStr for Peer {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(host) => Ok(Self::Host(host)),
            Err(_) => text.parse().map(Self::Port),
        }
    }
}

impl Filter {
    fn takes(&self, message: &SipMessage) -> bool {
        let method = || {
            let about = ladder::method(message).unwrap_or_default();
            self.methods.is_empty() || self.methods.iter().any(|method| method.eq_ignore_ascii_case(about))
        };
        let peer = || match self.peer {
            None => true,
            Some(Peer::Host(host)) => message.remote.ip() == host,
            Some(Peer::Port(address)) => message.remote == address,
        };
        let holds = || {
            self.with.as_deref().is_none_or(|text| {
                text.is_empty() || message.octets.windows(text.len()).any(|part| part == text.as_bytes())
            })
        };
        self.call_id.as_deref().is_none_or(|id| id == message.call_id) && peer() && method() && holds()
    }
}

impl Sip {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let Self::Trace(trace) = self;
        trace.run().await?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Trace {
    async fn run(self) -> anyhow::Result<()> {
        let mut watching = Watching::connect(&self.data).await?;
        let mut out: Box<dyn Write> = match &self.pcap {
            Some(file) if file.as_os_str() != "-" => {
                Box::new(File::create(file).with_context(|| file.display().to_string())?)
            }
            _ => Box::new(io::stdout()),
        };
        eprintln!("opentact: watching");
        if self.pcap.is_some() {
            out.write_all(&pcap::header())?;
            out.flush()?;
        }
        let mut left = self.count.unwrap_or(u64::MAX);
        while left > 0 {
            let message = match watching.next().await? {
                Some(Seen::Message(message)) if self.filter.takes(&message) => message,
                Some(Seen::Message(_)) => continue,
                Some(Seen::Skipped(messages)) => {
                    eprintln!("opentact: {messages} messages came too fast to be shown");
                    continue;
                }
                None => break,
            };
            left -= 1;
            self.show(&mut out, &message)?;
            out.flush()?;
        }
        Ok(())
    }

    fn show(&self, out: &mut impl Write, message: &SipMessage) -> io::Result<()> {
        if self.pcap.is_some() {
            return out.write_all(&pcap::record(message));
        }
        writeln!(out, "{}", harmless(&ladder::line(message)))?;
        if self.full {
            for line in String::from_utf8_lossy(&message.octets).lines() {
                writeln!(out, "    {}", harmless(line))?;
            }
        }
        Ok(())
    }
}

/// What a peer has written does not drive the terminal.
fn harmless(line: &str) -> String {
    line.replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        trace: Trace,
    }

    fn takes(arguments: &[&str]) -> bool {
        let line = Line::try_parse_from(std::iter::once(&"trace").chain(arguments)).unwrap();
        line.trace.filter.takes(&SipMessage {
            at: chrono::Utc::now(),
            direction: "in",
            transport: "UDP",
            local: "127.0.0.1:5060".parse().unwrap(),
            remote: "127.0.0.1:5070".parse().unwrap(),
            call_id: "a@b".to_owned(),
            octets: "SIP/2.0 180 Ringing\r\nCall-ID: a@b\r\nCSeq: 1 INVITE\r\n\r\n".into(),
        })
    }

    #[test]
    fn no_message_drives_the_terminal() {
        assert_eq!(harmless("To: \u{1b}[2Jbob"), "To: \u{fffd}[2Jbob");
    }

    #[test]
    fn a_message_is_taken_when_all_that_is_asked_holds() {
        for good in [
            &[][..],
            &["--method", "invite,BYE"],
            &["--call-id", "a@b", "--peer", "127.0.0.1"],
            &["--peer", "127.0.0.1:5070", "--with", "Ringing"],
        ] {
            assert!(takes(good), "{good:?}");
        }
        for bad in [
            &["--method", "BYE"][..],
            &["--call-id", "a"],
            &["--peer", "127.0.0.1:5060"],
            &["--peer", "127.0.0.2"],
            &["--method", "INVITE", "--with", "486"],
        ] {
            assert!(!takes(bad), "{bad:?}");
        }
        assert!(Line::try_parse_from(["trace", "--peer", "example"]).is_err());
    }
}
