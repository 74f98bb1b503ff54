//! What is known of who calls, and what a policy makes of it (domain.md, STIR/SHAKEN).

use bytes::Bytes;
use opentact_stir::{Attest, Fault, Reason, Verified, Verstat};
use opentact_store::types::Attestation;
use serde_json::{Value, json};

/// Of a call that came to us, for the legs it leads to.
#[derive(Debug, Clone)]
pub struct Vouched {
    /// The Identity headers, as they came.
    pub(crate) headers: Vec<Bytes>,
    /// The number that calls, in canonical form; `None` where it is withheld or no number.
    pub(crate) caller: Option<String>,
    /// The number that was called, in canonical form.
    pub(crate) callee: Option<String>,
    /// What checking them came to; `None` where nobody asked for it.
    pub(crate) verdict: Option<Result<Verified, Fault>>,
    /// The caller has proved to be a customer.
    pub(crate) authenticated: bool,
}

impl Vouched {
    /// What the callee is told; `None` where nothing was checked.
    pub(crate) fn verstat(&self) -> Option<Verstat> {
        Some(match self.verdict.as_ref()? {
            Ok(_) => Verstat::Passed,
            Err(fault) if fault.reason == Reason::NoIdentity => Verstat::NotValidated,
            Err(_) => Verstat::Failed,
        })
    }

    pub(crate) fn attest(&self) -> Option<Attest> {
        self.verdict.as_ref()?.as_ref().ok()?.attest
    }

    /// As the call object shows it; `None` where nothing was checked and nothing came.
    pub(crate) fn view(&self) -> Option<Value> {
        let identity: Vec<_> = self.headers.iter().map(|header| String::from_utf8_lossy(header)).collect();
        let mut view = json!({ "identity": identity });
        match &self.verdict {
            None if self.headers.is_empty() => return None,
            None => {}
            Some(Ok(verified)) => {
                view["attest"] = json!(verified.attest.map(Attest::as_str));
                view["origid"] = json!(verified.origid);
                view["spc"] = json!(verified.codes);
                view["diverted_from"] = json!(verified.diverted_from.as_ref().map(ToString::to_string));
            }
            Some(Err(fault)) => {
                view["code"] = json!(fault.reason.code());
                view["reason"] = json!(fault.to_string());
            }
        }
        if let Some(verstat) = self.verstat() {
            view["verstat"] = json!(verstat.as_str());
        }
        Some(view)
    }
}

pub(crate) fn level(attest: Attest) -> Attestation {
    match attest {
        Attest::A => Attestation::A,
        Attest::B => Attestation::B,
        Attest::C => Attestation::C,
    }
}

/// What a trunk or app asks of the callers it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Screening {
    /// 0..=3.
    pub(crate) policy: i64,
    /// The lowest level that policies 1 and 2 take.
    pub(crate) minimum: Option<Attestation>,
}

impl Screening {
    /// Whether there is anything to check.
    pub(crate) fn checks(self) -> bool {
        self.policy != 0
    }

    /// Code and reason phrase, where the call is to be blocked.
    pub(crate) fn blocks(self, verdict: &Result<Verified, Fault>) -> Option<(u16, &'static str)> {
        let refuse = |reason: Reason| Some((reason.code(), reason.phrase()));
        match (self.policy, verdict) {
            // No identity is no valid one either: else whoever has none to show would leave it out.
            (1 | 2, Err(fault)) if fault.reason == Reason::NoIdentity => refuse(fault.reason),
            (2, Err(fault)) => refuse(fault.reason),
            // An identity that does not hold has no level.
            (1, Err(fault)) if self.minimum.is_some() => refuse(fault.reason),
            (1 | 2, Ok(verified)) => {
                let enough = match (self.minimum, verified.attest) {
                    (None, _) => true,
                    (Some(minimum), Some(attest)) => attest.as_str() <= minimum.as_str(),
                    (Some(_), None) => false,
                };
                (!enough).then_some((403, "Attestation Level Too Low"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use opentact_stir::Party;

    use super::*;

    fn verified(attest: Option<Attest>) -> Result<Verified, Fault> {
        let orig = Party::Tn("12025550123".to_owned());
        Ok(Verified { attest, origid: None, orig, diverted_from: None, codes: Vec::new() })
    }

    fn fault(reason: Reason) -> Result<Verified, Fault> {
        Err(Fault::new(reason, "for a test"))
    }

    fn code(policy: i64, minimum: Option<Attestation>, verdict: &Result<Verified, Fault>) -> Option<u16> {
        Screening { policy, minimum }.blocks(verdict).map(|(code, _)| code)
    }

    #[test]
    fn each_policy_blocks_what_it_says() {
        let (good, none, bad) =
            (verified(Some(Attest::B)), fault(Reason::NoIdentity), fault(Reason::UnsupportedCredential));
        for (policy, for_none, for_bad) in
            [(0, None, None), (1, Some(428), None), (2, Some(428), Some(437)), (3, None, None)]
        {
            assert_eq!(code(policy, None, &good), None, "{policy}");
            assert_eq!(code(policy, None, &none), for_none, "{policy}");
            assert_eq!(code(policy, None, &bad), for_bad, "{policy}");
        }
    }

    #[test]
    fn below_the_minimum_level_policies_1_and_2_block() {
        for policy in 0..=3 {
            let blocked = matches!(policy, 1 | 2).then_some(403);
            for (minimum, attest, enough) in [
                (Attestation::A, Some(Attest::A), true),
                (Attestation::A, Some(Attest::B), false),
                (Attestation::B, Some(Attest::B), true),
                (Attestation::B, Some(Attest::C), false),
                (Attestation::C, Some(Attest::C), true),
                (Attestation::C, None, false),
            ] {
                let expected = if enough { None } else { blocked };
                assert_eq!(code(policy, Some(minimum), &verified(attest)), expected, "{policy} {minimum:?} {attest:?}");
            }
        }
        let bad = fault(Reason::InvalidIdentity);
        assert_eq!(code(1, Some(Attestation::C), &bad), Some(438));
        assert_eq!(code(3, Some(Attestation::A), &bad), None);
    }
}
