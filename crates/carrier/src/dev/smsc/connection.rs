//! One ESME at the simulated SMSC.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use opentact_messaging::smpp::{BindKind, Config, Event, Input, Outcome, Role};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::network::{Delivery, Network};
use crate::smpp::link::Link;

/// deliver_sm that wait for the session.
const DELIVERIES: usize = 1_000;
/// How long an ESME may take to say goodbye when the SMSC ends.
const GOODBYE: Duration = Duration::from_secs(2);
const SYSTEM_ID: &str = "opentact-dev";

pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, network: Arc<Network>, stop: CancellationToken) {
    let config = Config::new(Role::Smsc { system_id: SYSTEM_ID.to_owned() });
    let mut link = match Link::new(stream, config) {
        Ok(link) => link,
        Err(error) => {
            debug!(%peer, %error, "ESME connection unusable");
            return;
        }
    };
    let (deliveries, mut delivered) = mpsc::channel(DELIVERIES);
    let mut membership = None;
    let mut under_way: HashMap<u64, Delivery> = HashMap::new();
    let mut next_id = 0;
    let mut decisions = FuturesUnordered::new();
    let mut leave_by: Option<Instant> = None;
    loop {
        tokio::select! {
            event = link.next() => match event {
                None => break,
                Some(Event::Bind(bind)) => {
                    let decision = network.config().admits(&bind.system_id, &bind.password);
                    info!(%peer, system_id = bind.system_id, admitted = decision.is_ok(), "ESME binds");
                    link.handle(Input::AnswerBind(decision));
                }
                Some(Event::Bound { kind, .. }) => {
                    if kind != BindKind::Transmitter {
                        membership = Some(network.join(deliveries.clone()));
                    }
                }
                Some(Event::Message { sequence, message }) => {
                    let network = network.clone();
                    decisions.push(async move { (sequence, network.take(membership, message).await) });
                }
                Some(Event::Ended { id, outcome }) => {
                    let delivery = under_way.remove(&id);
                    if let Some(delivery) = delivery.filter(|_| !matches!(outcome, Outcome::Accepted { .. })) {
                        network.retry(delivery);
                    }
                }
                Some(Event::Closed(reason)) => debug!(%peer, %reason, "ESME session ended"),
            },
            Some((sequence, result)) = decisions.next() => link.handle(Input::Answer { sequence, result }),
            Some(delivery) = delivered.recv() => {
                next_id += 1;
                link.handle(Input::Send { id: next_id, message: delivery.message.clone() });
                under_way.insert(next_id, delivery);
            }
            () = stop.cancelled(), if leave_by.is_none() => {
                leave_by = Some(Instant::now() + GOODBYE);
                link.handle(Input::Unbind);
            }
            () = tokio::time::sleep_until(leave_by.unwrap_or_else(Instant::now)), if leave_by.is_some() => break,
        }
    }
    if let Some(id) = membership {
        network.leave(id);
    }
    // What the session never got to see goes to the next one.
    delivered.close();
    while let Some(delivery) = delivered.recv().await {
        network.deliver(delivery);
    }
}
