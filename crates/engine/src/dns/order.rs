//! In which order records are to be tried.

use hickory_resolver::proto::rr::rdata::{NAPTR, SRV};
use opentact_sip::flow::Transport;
use rand::Rng;

/// What NAPTR records offer that we speak, the most wanted first (RFC 3263 4.1): order, then preference.
pub(super) fn naptr<'a>(records: impl Iterator<Item = &'a NAPTR>) -> Vec<(Transport, String)> {
    let offer = |record: &'a NAPTR| {
        // What is not terminal, or to be rewritten, is none of SIP's.
        if !record.flags.eq_ignore_ascii_case(b"s") || record.replacement.is_root() {
            return None;
        }
        let transport = match &record.services.to_ascii_uppercase()[..] {
            b"SIP+D2U" => Transport::Udp,
            b"SIP+D2T" => Transport::Tcp,
            b"SIPS+D2T" => Transport::Tls,
            _ => return None,
        };
        Some((record.order, record.preference, (transport, record.replacement.to_utf8())))
    };
    let mut offers: Vec<_> = records.filter_map(offer).collect();
    offers.sort_by_key(|(order, preference, _)| (*order, *preference));
    offers.into_iter().map(|(.., offer)| offer).collect()
}

/// RFC 2782: by priority; within one by lots that weigh as much as their records say.
pub(super) fn srv(mut records: Vec<SRV>, lots: &mut impl Rng) -> Vec<SRV> {
    // Those without weight first: they come into play with a small chance only.
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|record| record.priority) {
        let peers = records.iter().take_while(|record| record.priority == priority);
        let sum: u32 = peers.map(|record| u32::from(record.weight)).sum();
        let lot = lots.random_range(0..=sum);
        let mut running = 0;
        let drawn = records.iter().position(|record| {
            running += u32::from(record.weight);
            running >= lot
        });
        ordered.push(records.remove(drawn.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Name;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn record(priority: u16, weight: u16, name: &str) -> SRV {
        SRV::new(priority, weight, 5060, Name::from_ascii(name).unwrap())
    }

    #[test]
    fn lots_weigh_what_the_records_say_within_one_priority() {
        let mut lots = StdRng::seed_from_u64(1);
        let mut firsts = [0; 3];
        for _ in 0..10_000 {
            let records = vec![record(2, 9, "late."), record(1, 0, "c."), record(1, 10, "b."), record(1, 30, "a.")];
            let names: Vec<String> = srv(records, &mut lots).iter().map(|record| record.target.to_utf8()).collect();
            assert_eq!((names.len(), names[3].as_str()), (4, "late."));
            firsts[["a.", "b.", "c."].iter().position(|name| *name == names[0]).unwrap()] += 1;
        }
        assert!((7_000..7_700).contains(&firsts[0]), "{firsts:?}");
        assert!((2_200..2_800).contains(&firsts[1]), "{firsts:?}");
        assert!((100..500).contains(&firsts[2]), "{firsts:?}");
    }

    #[test]
    fn of_naptr_only_what_we_speak_and_in_order() {
        let name = || Name::from_ascii("_sip._udp.example.com.").unwrap();
        let record = |order, preference, flags: &str, services: &str| {
            let bytes = |text: &str| text.as_bytes().to_vec().into_boxed_slice();
            NAPTR::new(order, preference, bytes(flags), bytes(services), bytes(""), name())
        };
        let records = [
            record(20, 1, "s", "SIP+D2U"),
            record(10, 9, "S", "sip+d2t"),
            record(10, 5, "s", "SIPS+D2T"),
            record(1, 1, "s", "SIP+D2S"),
            record(1, 1, "u", "E2U+sip"),
            record(1, 1, "", "SIP+D2U"),
        ];
        let transports: Vec<Transport> = naptr(records.iter()).into_iter().map(|(transport, _)| transport).collect();
        assert_eq!(transports, [Transport::Tls, Transport::Tcp, Transport::Udp]);
    }
}
