//! Who may call a number: its filter profile (domain.md, TN filter profile).

use opentact_store::numbers::TnLease;
use opentact_store::tn_filters::{self, TnFilter};
use opentact_store::types::OnReject;
use serde_json::{Value, json};
use uuid::Uuid;

use super::called::unreadable;
use super::identity::ANONYMOUS;
use super::{Refusal, Router};

/// Why a caller is kept out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hit<'a> {
    list: &'static str,
    /// The entry; none where the whitelist has no fitting one.
    rule: Option<&'a str>,
}

/// What becomes of a caller who is kept out.
pub(super) struct KeptOut {
    /// The filter and what of it has hit, for the call's record.
    pub(super) shown: Value,
    /// Takes the call.
    pub(super) app: Option<Uuid>,
    /// The refusal where no app does.
    pub(super) code: u16,
    pub(super) reason: &'static str,
}

impl Router {
    /// `None` where the number's filter lets the caller through.
    pub(super) async fn kept_out(&self, lease: &TnLease, from: &str) -> Result<Option<KeptOut>, Refusal> {
        let Some(uuid) = lease.tn_profile else { return Ok(None) };
        let filter = self.directory.filter(lease.account, uuid).await.map_err(unreadable)?;
        let Some(hit) = hit(&filter, from) else { return Ok(None) };
        tracing::info!(filter = %uuid, called = %lease.tn, from, hit.list, hit.rule, "a caller is kept out");
        metrics::counter!("opentact_filtered_calls_total", "list" => hit.list).increment(1);
        self.journal.filtered(lease.account, uuid);
        let (code, reason) = match filter.on_reject {
            OnReject::Busy => (486, "Busy Here"),
            OnReject::Decline | OnReject::VoicemailApp => (603, "Decline"),
        };
        Ok(Some(KeptOut {
            shown: json!({ "uuid": uuid, "name": filter.name, "list": hit.list, "rule": hit.rule }),
            app: filter.sip_control_app.filter(|_| filter.on_reject == OnReject::VoicemailApp),
            code,
            reason,
        }))
    }
}

/// What of a filter keeps this caller out: the blacklist wins.
fn hit<'a>(filter: &'a TnFilter, caller: &str) -> Option<Hit<'a>> {
    if !filter.is_active {
        return None;
    }
    let find = |list: &'a [String]| list.iter().find(|entry| fits(entry, caller)).map(String::as_str);
    if let Some(rule) = find(&filter.blacklist) {
        return Some(Hit { list: "blacklist", rule: Some(rule) });
    }
    let open = filter.whitelist.is_empty() || find(&filter.whitelist).is_some();
    (!open).then_some(Hit { list: "whitelist", rule: None })
}

/// Whether an entry means this caller: `*` stands for any run of characters, of those who show who they are.
fn fits(entry: &str, caller: &str) -> bool {
    if caller == ANONYMOUS || entry == tn_filters::ANONYMOUS {
        return caller == entry;
    }
    let caller = caller.strip_prefix('+').unwrap_or(caller);
    let mut parts = entry.split('*');
    let Some(mut rest) = parts.next().and_then(|first| caller.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(whitelist: &[&str], blacklist: &[&str]) -> TnFilter {
        let list = |entries: &[&str]| opentact_store::Json(entries.iter().map(|&entry| entry.to_owned()).collect());
        TnFilter {
            uuid: uuid::Uuid::nil(),
            created_on: chrono::Utc::now(),
            modified_on: chrono::Utc::now(),
            account: uuid::Uuid::nil(),
            name: "filter".to_owned(),
            is_active: true,
            on_reject: OnReject::Decline,
            sip_control_app: None,
            whitelist: list(whitelist),
            blacklist: list(blacklist),
            rejected: 0,
            created_by: None,
            modified_by: None,
        }
    }

    #[test]
    fn entries_fit_whom_they_name() {
        let fitting = [
            ("12025550123", "+12025550123"),
            ("1202*", "+12025550123"),
            ("*0123", "+12025550123"),
            ("1*555*23", "+12025550123"),
            ("*", "+12025550123"),
            ("*", "bob"),
            ("12*", "12"),
            ("anonymous", "anonymous"),
        ];
        for (entry, caller) in fitting {
            assert!(fits(entry, caller), "{entry} {caller}");
        }
        let others = [
            ("12025550123", "+120255501234"),
            ("1202555012", "+12025550123"),
            ("1203*", "+12025550123"),
            ("12*21", "121"),
            ("*", "anonymous"),
            ("anonymous", "+12025550123"),
            ("1*555*24", "+12025550123"),
        ];
        for (entry, caller) in others {
            assert!(!fits(entry, caller), "{entry} {caller}");
        }
    }

    #[test]
    fn the_blacklist_wins_and_a_whitelist_lets_nobody_else_in() {
        let caller = "+12025550123";
        assert_eq!(hit(&filter(&[], &[]), caller), None);
        assert_eq!(hit(&filter(&["1202*"], &[]), caller), None);
        let kept_out = Some(Hit { list: "whitelist", rule: None });
        assert_eq!(hit(&filter(&["1203*"], &[]), caller), kept_out);
        assert_eq!(hit(&filter(&["*"], &[]), ANONYMOUS), kept_out);
        let both = filter(&["1202*"], &["anonymous", "12025550123"]);
        assert_eq!(hit(&both, caller), Some(Hit { list: "blacklist", rule: Some("12025550123") }));
        assert_eq!(hit(&both, "+12025550124"), None);
        assert_eq!(hit(&TnFilter { is_active: false, ..both }, caller), None);
    }
}
