//! The network connected to an engine and its database.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use opentact_engine::Engine;
use opentact_engine::ports::{ControlError, DevCall, DevCaller};
use opentact_engine::prompt::PromptLibrary;
use opentact_engine::speech::SayRequest;
use opentact_media::Clip;
use opentact_sip::flow::Transport;
use opentact_store::Store;
use opentact_store::types::Tn;
use serde_json::{Value, json};

use super::driver::{DevVoice, Platform, VoiceConfig};

impl DevVoice {
    /// Starts the network as the engine's trunk `dev` and as the caller of `POST /rest/dev/call`.
    ///
    /// # Errors
    /// The engine takes no SIP over UDP, or sockets or media ports cannot be had.
    pub async fn connect(config: VoiceConfig, engine: &Engine, store: Store) -> io::Result<Arc<DevVoice>> {
        let sip = engine.sip_address(Transport::Udp).ok_or_else(|| {
            io::Error::new(io::ErrorKind::Unsupported, "the simulated network needs sip.udp to call the platform")
        })?;
        let bound = DevVoice::bind(config).await?;
        let carrier = bound.carrier();
        let platform = Connected { store, prompts: engine.prompts() };
        let voice = Arc::new(bound.start(reachable(sip), Arc::new(platform))?);
        engine.add_carrier(carrier);
        engine.set_dev_caller(voice.clone());
        Ok(voice)
    }
}

/// A listener on all addresses is reached on loopback.
fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

struct Connected {
    store: Store,
    prompts: PromptLibrary,
}

#[async_trait]
impl Platform for Connected {
    async fn is_leased(&self, number: u64) -> bool {
        let Ok(number) = Tn::try_from(number) else { return false };
        match self.store.numbers().active_lease(number).await {
            Ok(lease) => lease.is_some(),
            Err(error) => {
                tracing::error!(%error, "whether a number is leased cannot be read; it is taken for one that is not");
                false
            }
        }
    }

    async fn speak(&self, text: &str) -> Option<Arc<Clip>> {
        match self.prompts.say(SayRequest::new(text)).await {
            Ok(clip) => Some(clip),
            Err(error) => {
                tracing::warn!(%error, "the simulated network has no voice");
                None
            }
        }
    }
}

#[async_trait]
impl DevCaller for DevVoice {
    async fn place_call(&self, request: DevCall) -> Result<Value, ControlError> {
        self.call(request).map(|call_id| json!({ "sip_call_id": call_id }))
    }
}
