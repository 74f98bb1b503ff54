//! Signers under a test authority, and verifiers that trust it.
#![allow(dead_code)] // each test binary uses its part

use std::collections::HashMap;
use std::sync::Arc;

use opentact_stir::{
    Anchors, Attest, Chain, Evidence, Fault, Identity, Origination, Party, Reason, Rules, Signer, SigningKey, Subject,
    TestAuthority, TnAuthList, TnEntry, Verified,
};

/// Seconds since 1970 at which all of this happens.
pub const NOW: i64 = 1_750_000_000;
pub const ALICE: &str = "12025550123";
pub const BOB: &str = "12025550199";
pub const CAROL: &str = "12025550177";
pub const RULES: Rules = Rules { window: 60 };

pub fn tn(number: &str) -> Party {
    Party::Tn(number.to_owned())
}

pub fn spc(code: &str) -> TnAuthList {
    TnAuthList::new(vec![TnEntry::Spc(code.to_owned())]).unwrap()
}

pub struct World {
    pub authority: TestAuthority,
    pub anchors: Anchors,
    pub published: HashMap<String, Arc<Chain>>,
}

impl World {
    pub fn new() -> Self {
        let authority = TestAuthority::create(NOW).unwrap();
        let mut anchors = Anchors::default();
        anchors.add_pem(authority.certificate().as_bytes()).unwrap();
        Self { authority, anchors, published: HashMap::new() }
    }

    /// A signer whose certificate is published and may speak for these numbers.
    pub fn signer(&mut self, name: &str, numbers: &TnAuthList) -> Signer {
        let (chain, key) = self.authority.issue(name, numbers, 90, NOW).unwrap();
        self.publish(name, &chain, &key)
    }

    pub fn publish(&mut self, name: &str, chain: &str, key: &str) -> Signer {
        let url = format!("https://certificates.example.org/{name}.pem");
        self.published.insert(url.clone(), Arc::new(Chain::parse(chain.as_bytes()).unwrap()));
        Signer::new(Arc::new(SigningKey::from_pem(key).unwrap()), url)
    }

    pub fn verify(&self, identities: &[Identity], subject: &Subject, now: i64) -> Result<Verified, Fault> {
        let values: Vec<String> = identities.iter().map(ToString::to_string).collect();
        self.verify_values(&values, subject, now)
    }

    pub fn verify_values(&self, values: &[String], subject: &Subject, now: i64) -> Result<Verified, Fault> {
        let evidence = Evidence::read(values.iter().map(|value| value.as_bytes()), subject, RULES, now)?;
        let published = |url: &str| {
            self.published.get(url).cloned().ok_or_else(|| Fault::new(Reason::BadInfo, format!("nothing at {url}")))
        };
        evidence.judge(published, &self.anchors, now)
    }
}

pub fn call(orig: &str, dest: &str) -> Subject {
    Subject { orig: Some(tn(orig)), dest: tn(dest), date: None }
}

pub fn origination(orig: &str, dest: &str, attest: Attest) -> Origination {
    Origination { orig: tn(orig), dest: tn(dest), attest, origid: "de305d54-75b4-431b-adb2-eb6b9e546014".to_owned() }
}
