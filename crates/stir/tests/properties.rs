//! What holds for all inputs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use opentact_stir::{Attest, Evidence, Identity, Passport, TnAuthList, TnEntry, canonical};
use proptest::prelude::*;
use world::{NOW, RULES, World, call, origination, spc};

fn number() -> impl Strategy<Value = String> {
    "[1-9][0-9]{6,14}"
}

fn entry() -> impl Strategy<Value = TnEntry> {
    prop_oneof![
        "[A-Z0-9]{1,8}".prop_map(TnEntry::Spc),
        number().prop_map(TnEntry::One),
        ("[1-8][0-9]{6,14}", 2..1_000_000_u64).prop_map(|(start, count)| TnEntry::Range { start, count }),
    ]
}

proptest! {
    #[test]
    fn a_list_that_is_written_is_read_again(entries in prop::collection::vec(entry(), 1..20)) {
        let list = TnAuthList::new(entries).unwrap();
        prop_assert_eq!(TnAuthList::parse(&list.to_der()).unwrap(), list);
    }

    #[test]
    fn any_octets_are_read_or_refused(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = TnAuthList::parse(&octets);
        let _ = Identity::parse(&octets);
        let _ = opentact_stir::Chain::parse(&octets);
        let _ = String::from_utf8_lossy(&octets).parse::<Passport>();
        let _ = Evidence::read([octets.as_slice()], &call("1", "2"), RULES, NOW);
    }

    #[test]
    fn the_canonical_form_is_its_own(text in "[+]?[0-9().* #-]{0,40}") {
        if let Some(number) = canonical(&text) {
            prop_assert_eq!(canonical(&number), Some(number));
        }
    }

    #[test]
    fn an_octet_changed_anywhere_breaks_the_identity(orig in number(), dest in number(), at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_-]") {
        let mut world = World::new();
        let signer = world.signer("ann", &spc("709J"));
        let identity = signer.shaken(&origination(&orig, &dest, Attest::A), NOW).unwrap();
        let subject = call(&orig, &dest);
        prop_assert!(world.verify(std::slice::from_ref(&identity), &subject, NOW).is_ok());
        let mut digest = identity.digest.clone();
        let at = at.index(digest.len());
        digest.replace_range(at..=at, &to);
        if digest != identity.digest {
            let changed = Identity { digest, ..identity };
            prop_assert!(world.verify(&[changed], &subject, NOW).is_err());
        }
    }
}
