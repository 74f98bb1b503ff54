//! Identity headers, PASSporTs, certificates and TN authorization lists: what anybody may put into an INVITE, or publish
//! where it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opentact_stir::{Chain, Evidence, Identity, Party, Passport, Rules, Subject, TnAuthList, canonical};

fuzz_target!(|octets: &[u8]| {
    if let Ok(identity) = Identity::parse(octets) {
        let again = Identity::parse(identity.to_string().as_bytes()).expect("a header that was written");
        assert_eq!(again, identity);
        let now = identity.digest.parse::<Passport>().map_or(0, |passport| {
            assert_eq!(passport.to_string().parse::<Passport>().as_ref(), Ok(&passport));
            passport.claims.iat
        });
        // A call that it fits, so that the rest is reached.
        let (orig, dest) = match identity.digest.parse::<Passport>() {
            Ok(passport) => (passport.claims.orig.clone(), passport.claims.dest.parties()[0].clone()),
            Err(_) => (Party::of("1"), Party::of("2")),
        };
        let subject = Subject { orig: Some(orig), dest, date: Some(now) };
        if let Ok(evidence) = Evidence::read([octets], &subject, Rules { window: 60 }, now) {
            let _ = (evidence.urls().len(), evidence.fingerprint(), evidence.until(Rules { window: 60 }));
        }
    }
    if let Ok(list) = TnAuthList::parse(octets) {
        assert_eq!(TnAuthList::parse(&list.to_der()).as_ref(), Ok(&list));
        let _ = list.covers("12025550123");
    }
    let _ = Chain::parse(octets);
    if let Some(number) = std::str::from_utf8(octets).ok().and_then(canonical) {
        assert_eq!(canonical(&number), Some(number));
    }
});
