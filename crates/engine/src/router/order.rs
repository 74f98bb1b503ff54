//! In which order the trunks of a group are tried (domain.md, trunk choice).

use std::sync::Arc;

use opentact_store::connections::SipConnection;
use rand::Rng;

/// The lowest priority first; within one at random, in proportion to the weights (as RFC 2782 does), those of weight 0
/// last.
pub(super) fn order(trunks: Vec<Arc<SipConnection>>, random: &mut impl Rng) -> Vec<Arc<SipConnection>> {
    let mut keyed: Vec<_> = trunks
        .into_iter()
        .map(|trunk| {
            // Exponential races: who of several is first wins in proportion to its rate.
            let weight = trunk.weight.max(0) as f64;
            let time = if weight > 0.0 { -random.random_range(f64::EPSILON..1.0).ln() / weight } else { f64::MAX };
            (trunk.priority, time, trunk)
        })
        .collect();
    keyed.sort_by(|(a, time_a, _), (b, time_b, _)| a.cmp(b).then(time_a.total_cmp(time_b)));
    keyed.into_iter().map(|(_, _, trunk)| trunk).collect()
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use opentact_store::types::{Json, SipTransport, TrunkRouting};
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use uuid::Uuid;

    use super::*;

    fn trunk(name: &str, priority: i64, weight: i64) -> Arc<SipConnection> {
        Arc::new(SipConnection {
            uuid: Uuid::new_v4(),
            created_on: Utc::now(),
            modified_on: Utc::now(),
            account: Uuid::nil(),
            name: name.to_owned(),
            is_active: true,
            tech_prefix: 100_000,
            product: 1,
            ip: Some("192.0.2.1".to_owned()),
            hostname: None,
            port: 5060,
            transport: SipTransport::Udp,
            srtp: None,
            codecs: Json::default(),
            username: None,
            password: None,
            register: false,
            channel_limit: None,
            cps_limit: None,
            priority,
            weight,
            options_ping: false,
            shaken_verify_policy: 0,
            shaken_minimum_accepted_attest_lvl: None,
            sources: Json::default(),
            authenticate: false,
            routing: Json(TrunkRouting::default()),
            created_by: None,
            modified_by: None,
        })
    }

    #[test]
    fn priority_decides_then_weight() {
        let mut random = StdRng::seed_from_u64(1);
        let all = [trunk("backup", 2, 100), trunk("big", 1, 3), trunk("small", 1, 1), trunk("spare", 1, 0)];
        let names = |trunks: Vec<Arc<SipConnection>>| -> Vec<String> {
            trunks.iter().map(|trunk| trunk.name.clone()).collect()
        };
        let mut big = 0;
        for _ in 0..4_000 {
            let order = names(order(all.to_vec(), &mut random));
            assert_eq!(order[2..], ["spare", "backup"]);
            big += u32::from(order[0] == "big");
        }
        assert!((2_850..3_150).contains(&big), "three of four are the big one's: {big}");
    }
}
