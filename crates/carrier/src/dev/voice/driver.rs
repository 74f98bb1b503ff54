//! Sockets, threads and time for the exchange.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use opentact_engine::media::{MediaConfig, MediaPool};
use opentact_engine::ports::{ControlError, DevCall, VoiceCarrier};
use opentact_media::control::{Clip, Command, Event, LegKey};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::exchange::{Exchange, Input, Output};
use super::party::Media;

/// Inputs that may wait. Beyond it answers of the platform wait, calls are refused and media events are lost.
const QUEUE: usize = 8_192;
/// Largest datagram.
const DATAGRAM: usize = 65_535;

/// What the simulated network asks the platform it is connected to.
#[async_trait]
pub trait Platform: Send + Sync + 'static {
    /// Whether somebody leases this number (E.164): then it is the platform that answers it.
    async fn is_leased(&self, number: u64) -> bool;
    /// `text` spoken in English; `None` on a host without a voice.
    async fn speak(&self, text: &str) -> Option<Arc<Clip>>;
}

/// Settings of the simulated network.
#[derive(Debug, Clone)]
pub struct VoiceConfig {
    /// Where SIP is taken; port 0 for any. A concrete address: it is written into Via and Contact.
    pub listen: SocketAddr,
    /// Its own media threads and ports.
    pub media: MediaConfig,
}

impl Default for VoiceConfig {
    /// Loopback, any port, one thread, RTP on 30000-30999.
    fn default() -> Self {
        let media = MediaConfig { threads: 1, ports: 30_000..=30_999, ..MediaConfig::default() };
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)), media }
    }
}

/// A socket that is bound, but not answered yet: its address is known to the platform before it takes calls.
pub struct BoundVoice {
    socket: UdpSocket,
    address: SocketAddr,
    media: MediaConfig,
}

/// The running network. It ends when this is dropped.
pub struct DevVoice {
    address: SocketAddr,
    inputs: mpsc::Sender<Input>,
    task: JoinHandle<()>,
}

impl BoundVoice {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// This network as a trunk.
    pub fn carrier(&self) -> VoiceCarrier {
        VoiceCarrier { name: "dev", address: self.address }
    }

    /// Takes and makes calls from now on. `sip` is where the platform takes calls over UDP.
    ///
    /// # Errors
    /// The media threads or their ports cannot be had.
    pub fn start(self, sip: SocketAddr, platform: Arc<dyn Platform>) -> io::Result<DevVoice> {
        let (inputs, queue) = mpsc::channel(QUEUE);
        let events = inputs.clone();
        let media = MediaPool::start(self.media, move |leg: LegKey, event: Event| {
            if events.try_send(Input::Media { leg, event }).is_err() {
                tracing::warn!(%leg, "the simulated network does not keep up; a media event is lost");
            }
        })?;
        let exchange = Exchange::new(self.address, sip, media, rand::random());
        let driver = Driver { socket: self.socket, exchange, platform, inputs: inputs.clone() };
        let task = tokio::spawn(driver.run(queue));
        Ok(DevVoice { address: self.address, inputs, task })
    }
}

impl DevVoice {
    /// Binds the SIP socket.
    ///
    /// # Errors
    /// The address is in use or not of this host.
    pub async fn bind(config: VoiceConfig) -> io::Result<BoundVoice> {
        let socket = UdpSocket::bind(config.listen).await?;
        let address = socket.local_addr()?;
        Ok(BoundVoice { socket, address, media: config.media })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Calls the platform; returns the SIP Call-ID.
    ///
    /// # Errors
    /// `Unavailable` when too much waits already or the network has stopped.
    pub fn call(&self, call: DevCall) -> Result<String, ControlError> {
        let call_id = format!("{}@dev", uuid::Uuid::new_v4().simple());
        let input = Input::Place { call, call_id: Bytes::from(call_id.clone()) };
        self.inputs.try_send(input).map_err(|_| ControlError::Unavailable {
            reason: "The simulated network is overloaded".into(),
            retry_after: Duration::from_secs(1),
        })?;
        Ok(call_id)
    }
}

impl Drop for DevVoice {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Media for MediaPool {
    fn open(&mut self, near: Option<LegKey>) -> Option<(LegKey, SocketAddr)> {
        MediaPool::open(self, near)
            .inspect_err(|error| tracing::warn!(%error, "no media for a call of the simulated network"))
            .ok()
    }

    fn command(&mut self, leg: LegKey, command: Command) {
        MediaPool::command(self, leg, command);
    }
}

struct Driver {
    socket: UdpSocket,
    exchange: Exchange<MediaPool>,
    platform: Arc<dyn Platform>,
    inputs: mpsc::Sender<Input>,
}

impl Driver {
    async fn run(mut self, mut queue: mpsc::Receiver<Input>) {
        let mut datagram = vec![0; DATAGRAM];
        loop {
            let input = tokio::select! {
                received = self.socket.recv_from(&mut datagram) => match received {
                    Ok((length, from)) => {
                        Input::Datagram { message: Bytes::copy_from_slice(&datagram[..length]), from }
                    }
                    // An ICMP error of an earlier datagram; the transaction's timers deal with its loss.
                    Err(_) => Input::Tick,
                },
                input = queue.recv() => match input {
                    Some(input) => input,
                    None => return,
                },
                () = sleep_until(self.exchange.deadline()) => Input::Tick,
            };
            self.exchange.handle(Instant::now(), input);
            while let Some(output) = self.exchange.poll() {
                self.carry_out(output).await;
            }
        }
    }

    async fn carry_out(&self, output: Output) {
        let (platform, inputs) = (self.platform.clone(), self.inputs.clone());
        match output {
            Output::Transmit { to, bytes } => {
                if let Err(error) = self.socket.send_to(&bytes, to).await {
                    tracing::debug!(%error, %to, "datagram not sent");
                }
            }
            // One task a question; there are no more questions than calls.
            Output::AskLeased { session, number } => {
                tokio::spawn(async move {
                    let leased = platform.is_leased(number).await;
                    // A network that has stopped needs no answer.
                    let _ = inputs.send(Input::Leased { session, leased }).await;
                });
            }
            Output::AskSpeech { session, text } => {
                tokio::spawn(async move {
                    let speech = platform.speak(&text).await;
                    let _ = inputs.send(Input::Speech { session, speech }).await;
                });
            }
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
