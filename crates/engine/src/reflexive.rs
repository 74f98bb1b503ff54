//! The address of this node as networks beyond a NAT see it, asked of a STUN server (RFC 8489): what browsers are told as
//! a server-reflexive candidate, beside the own address.
//!
//! One socket asks for all. That the NAT gives the ports of media as they are is taken for granted: one that has an address
//! for each of its hosts, or is set to pass those ports on, does so; of another a candidate leads nowhere, which ICE finds
//! out.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::{sleep, timeout};

use crate::transport::stun;

/// How often is asked: an address that changes is known so much later.
const INTERVAL: Duration = Duration::from_secs(30);
/// How long an answer is waited for before the question is sent again (RFC 8489 6.2.1), and the last time.
const PATIENCE_MS: [u64; 4] = [500, 1_000, 2_000, 4_000];

/// What is known of it; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reflexive(Arc<RwLock<Option<IpAddr>>>);

impl Reflexive {
    pub(crate) fn address(&self) -> Option<IpAddr> {
        *self.0.read()
    }

    /// Asks `server`, `host:port`, again and again for how a socket at `own` is seen. Without an answer nothing is known.
    pub(crate) async fn follow(self, server: String, own: IpAddr) {
        loop {
            let seen = ask(&server, own).await;
            if let Err(error) = &seen {
                tracing::warn!(%server, %error, "no answer of the STUN server");
            }
            let seen = seen.ok().map(|seen| seen.ip().to_canonical()).filter(|seen| *seen != own);
            let before = std::mem::replace(&mut *self.0.write(), seen);
            if before != seen {
                tracing::info!(?seen, "address of media as seen from outside");
            }
            sleep(INTERVAL).await;
        }
    }

    #[cfg(test)]
    pub(crate) fn known(address: IpAddr) -> Self {
        Self(Arc::new(RwLock::new(Some(address))))
    }
}

async fn ask(server: &str, own: IpAddr) -> io::Result<SocketAddr> {
    let same_family = |found: &SocketAddr| found.is_ipv4() == own.is_ipv4();
    let server = lookup_host(server).await?.find(same_family).ok_or(io::ErrorKind::NotFound)?;
    let socket = UdpSocket::bind((own, 0)).await?;
    socket.connect(server).await?;
    let transaction: [u8; 12] = rand::random();
    let mut buffer = [0; 1500];
    for patience in PATIENCE_MS.map(Duration::from_millis) {
        socket.send(&stun::request(&transaction)).await?;
        let answer = timeout(patience, async {
            loop {
                let length = socket.recv(&mut buffer).await?;
                if let Some(seen) = stun::reflexive(&buffer[..length], &transaction) {
                    return Ok::<_, io::Error>(seen);
                }
            }
        });
        if let Ok(seen) = answer.await {
            return seen;
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_says_how_it_is_seen_and_noise_says_nothing() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap().to_string();
        let served = async {
            let mut buffer = [0; 1500];
            let (length, from) = server.recv_from(&mut buffer).await.unwrap();
            server.send_to(b"noise", from).await.unwrap();
            let seen = "203.0.113.7:4000".parse().unwrap();
            server.send_to(&stun::answer(&buffer[..length], seen).unwrap(), from).await.unwrap();
        };
        let (seen, ()) = tokio::join!(ask(&address, IpAddr::from([127, 0, 0, 1])), served);
        assert_eq!(seen.unwrap(), "203.0.113.7:4000".parse().unwrap());
    }
}
