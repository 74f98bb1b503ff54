//! Messages from the numbers of a profile.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentact_engine::ports::ControlError;
use opentact_messaging::pool::{Candidate, Rules, Turn, choose};
use opentact_store::messaging_profiles::MessagingProfile;
use opentact_store::types::Feature;
use opentact_store::{Money, Tn};
use uuid::Uuid;

use super::outbound::no_campaign;
use super::view::Context;
use super::{Shared, control_error, invalid};

/// Pools whose turn is remembered; when there are more, all begin anew.
const TURNS: usize = 10_000;
/// Messages by which the health of a number is told, and how many there must be.
const NEWEST: u64 = 50;
const ENOUGH: u64 = 10;
/// How long what was found of a number's health counts, and of how many numbers it is kept.
const FRESH: Duration = Duration::from_secs(30);
const KEPT: usize = 10_000;

/// What is known of the health of numbers.
#[derive(Debug, Default)]
pub(super) struct Health(HashMap<Tn, (Instant, bool)>);

/// The numbers of a profile that can send.
pub(super) struct Pool {
    profile: MessagingProfile,
    numbers: BTreeMap<Tn, Arc<Context>>,
    any: Arc<Context>,
}

impl Pool {
    pub(super) async fn load(shared: &Shared, account: Uuid, profile: Uuid) -> Result<Pool, ControlError> {
        let profile = shared.store.messaging_profiles().get(account, profile).await.map_err(control_error)?;
        if !profile.number_pool_enable {
            let why = "the profile has no number pool (number_pool_enable)";
            return Err(invalid("messaging_profile", &why, profile.uuid));
        }
        let leases = shared.store.numbers().leases(account).await.map_err(control_error)?;
        let mut numbers = BTreeMap::new();
        for lease in leases {
            if lease.messaging_profile == Some(profile.uuid) && lease.subscriptions.contains(&Feature::Sms) {
                let tn = lease.tn;
                let context = Context::load(shared, account, tn, Some(lease)).await.map_err(control_error)?;
                numbers.insert(tn, Arc::new(context));
            }
        }
        let Some(any) = numbers.values().next().cloned() else {
            return Err(invalid("messaging_profile", &"the profile has no number with SMS", profile.uuid));
        };
        Ok(Pool { profile, numbers, any })
    }

    pub(super) fn any(&self) -> &Context {
        &self.any
    }

    pub(super) fn dearest(&self) -> Money {
        self.numbers.values().map(|context| context.prices.sms_per_send_cost).max().unwrap_or_default()
    }

    pub(super) async fn choose(&self, shared: &Shared, to: Tn) -> Result<Arc<Context>, ControlError> {
        let profile = &self.profile;
        let weight = |weight: i64| u32::try_from(weight).unwrap_or_default();
        let rules = Rules {
            long_code_weight: weight(profile.long_code_weight),
            tollfree_weight: weight(profile.tollfree_weight),
            skip_unhealthy: profile.skip_unhealthy_tns,
            geo_match: profile.geo_match,
        };
        let sticky = match profile.sticky_sender {
            true => shared.store.sms().last_sender(profile.account, profile.uuid, to).await.map_err(control_error)?,
            false => None,
        };
        let mut candidates = Vec::with_capacity(self.numbers.len());
        for (tn, context) in self.numbers.iter().filter(|(_, context)| context.may_send(to)) {
            let toll_free = context.is_toll_free();
            let healthy = !rules.skip_unhealthy || is_healthy(shared, profile.account, *tn).await?;
            candidates.push(Candidate { number: tn.get(), toll_free, healthy });
        }
        if candidates.is_empty() {
            return Err(no_campaign());
        }
        let mut turns = shared.turns.lock();
        if turns.len() >= TURNS && !turns.contains_key(&profile.uuid) {
            turns.clear();
        }
        let turn: &mut Turn = turns.entry(profile.uuid).or_default();
        let chosen = choose(&candidates, rules, to.get(), sticky.map(Tn::get), turn);
        let chosen = chosen.and_then(|number| self.numbers.get(&Tn::new(number).ok()?));
        chosen.cloned().ok_or_else(|| {
            let why = "the weights of the profile leave no number to send from";
            invalid("messaging_profile", &why, profile.uuid)
        })
    }
}

async fn is_healthy(shared: &Shared, account: Uuid, tn: Tn) -> Result<bool, ControlError> {
    let now = Instant::now();
    let known = shared.health.lock().0.get(&tn).copied();
    if let Some((_, healthy)) = known.filter(|(found, _)| now.duration_since(*found) < FRESH) {
        return Ok(healthy);
    }
    let (sent, good) = shared.store.sms().record_of(account, tn, NEWEST).await.map_err(control_error)?;
    let healthy = sent < ENOUGH || good as f64 >= shared.config.healthy * sent as f64;
    let mut health = shared.health.lock();
    if health.0.len() >= KEPT {
        health.0.clear();
    }
    health.0.insert(tn, (now, healthy));
    Ok(healthy)
}
