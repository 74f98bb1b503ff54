//! Who vouches for a caller: checked where a call comes in, said where it goes out (domain.md, STIR/SHAKEN).

use std::sync::Arc;

use opentact_call::Target;
use opentact_sip::uri::Uri;
use opentact_stir::{Attest, Origination, Party, Subject, Verstat, canonical};
use opentact_store::StoreError;
use serde_json::json;
use uuid::Uuid;

use super::dial::unreadable;
use super::identity::{assert, asserted_in, tell_verstat};
use super::{Admission, Attempt, DialFault, DialPlan, DialRequest, Inquiry, LegContext, Place, Plan, Refusal, Router};
use crate::stir::{Outgoing, Screening, Vouched, level};

impl Router {
    /// Checks the caller of a call that is as good as admitted, as far as those ask for it who it comes by and goes to.
    pub(super) async fn screen(&self, inquiry: &Inquiry, authenticated: bool, mut plan: Plan) -> Admission {
        let identity = inquiry.asserted.as_ref().unwrap_or(&inquiry.from);
        let mut vouched = Vouched {
            headers: inquiry.identities.clone(),
            caller: identity.user_text().and_then(|user| self.party(&user)),
            callee: inquiry.request_uri.user_text().and_then(|user| self.party(&user)),
            verdict: None,
            authenticated,
        };
        // Our own users have shown who they are, and nobody signs before us.
        let screenings = if authenticated { Ok(Vec::new()) } else { self.screenings(&plan).await };
        let screenings = match screenings {
            Ok(screenings) => screenings,
            Err(error) => {
                tracing::error!(%error, "routing could not read the store");
                return Admission::Refuse(Refusal::new(503, "Service Unavailable"));
            }
        };
        let mut blocked = None;
        if screenings.iter().any(|screening| screening.checks()) {
            let dest = vouched.callee.clone().map_or_else(|| Party::uri(inquiry.request_uri.as_str()), Party::Tn);
            let orig = vouched.caller.clone().map(Party::Tn);
            let subject = Subject { orig, dest, date: inquiry.date };
            let verdict = self.stir.verify(&vouched.headers, &subject, &inquiry.call_id).await;
            let call_id = String::from_utf8_lossy(&inquiry.call_id);
            match &verdict {
                Ok(verified) => tracing::debug!(%call_id, attest = ?verified.attest, "caller verified"),
                Err(fault) => tracing::info!(%call_id, %fault, "caller not verified"),
            }
            blocked = screenings.iter().find_map(|screening| screening.blocks(&verdict));
            vouched.verdict = Some(verdict);
        }
        plan.context.vouch(Some(Arc::new(vouched)));
        match blocked {
            Some((code, reason)) => Admission::Refuse(Refusal { code, reason, context: Some(Box::new(plan.context)) }),
            None => Admission::Accept(Box::new(plan)),
        }
    }

    /// What the trunk the call comes by, the app that takes it and the trunk it goes on to ask for.
    async fn screenings(&self, plan: &Plan) -> Result<Vec<Screening>, StoreError> {
        let account = plan.context.account;
        let onward = match &plan.target {
            Target::Bridge { dial } => dial.options.sip_connection.as_deref().and_then(|uuid| uuid.parse().ok()),
            _ => None,
        };
        let mut screenings = Vec::new();
        for trunk in [plan.context.sip_connection, onward].into_iter().flatten() {
            let trunk = self.directory.connection(account, trunk).await?;
            let minimum = trunk.shaken_minimum_accepted_attest_lvl;
            screenings.push(Screening { policy: trunk.shaken_verify_policy, minimum });
        }
        if let Some(app) = plan.context.sip_control_app {
            let app = self.directory.app(account, app).await?;
            let minimum = app.row.shaken_minimum_accepted_attest_lvl;
            screenings.push(Screening { policy: app.row.shaken_verify_policy, minimum });
        }
        Ok(screenings)
    }

    /// Tells the callee what is known of the caller, and vouches for the caller where the call leaves us.
    pub(super) async fn vouch(&self, request: &DialRequest, plan: &mut DialPlan) -> Result<(), DialFault> {
        let over = match plan.attempts.first() {
            Some(Attempt::Place(Place { over: Some(over), .. })) => Some(over.clone()),
            _ => None,
        };
        let inside = matches!(plan.attempts.first(), Some(Attempt::Registered(_)));
        let caller = match &over {
            // As it is, and not as the trunk wants it written.
            Some(over) => over.caller.map(|tn| tn.to_string()),
            None => {
                let asserted = asserted_in(&plan.identity);
                asserted.as_ref().unwrap_or(&plan.from).user_text().and_then(|user| self.party(&user))
            }
        };
        let Some(caller) = caller else { return Ok(()) };
        let came = said(request, &caller);
        // A carrier is told nothing: what we have found out is for those we serve (ATIS-1000074 7.3). Trunks are told with
        // the rest of what is said over them.
        if inside && let Some(verstat) = verstat(request, &caller) {
            let uri = Uri::sip(Some(&format!("+{caller}")), plan.to.host(), None);
            let mut asserted = uri.map(|uri| assert(&uri, false)).unwrap_or_default();
            tell_verstat(&mut asserted, verstat);
            plan.identity.extend(asserted);
        }
        plan.context.attest_level = came.and_then(|vouched| vouched.attest()).map(level);
        plan.context.related.stir_shaken = came.and_then(|vouched| vouched.view()).map(Arc::new);
        let callee = match &over {
            Some(over) => over.callee.map(|tn| tn.to_string()),
            None => plan.to.user_text().and_then(|user| self.party(&user)),
        };
        let Some(callee) = callee.filter(|_| !inside) else { return Ok(()) };
        plan.stir = self.outgoing(request, came, caller, callee).await?;
        if let Some(Outgoing::Vouched { call, .. }) = &plan.stir {
            plan.context.attest_level = Some(level(call.attest));
            plan.context.related.stir_shaken =
                Some(json!({ "identity": [], "attest": call.attest.as_str(), "origid": call.origid }).into());
        }
        Ok(())
    }

    /// The Identity headers of a call from one number to another.
    async fn outgoing(
        &self,
        request: &DialRequest,
        came: Option<&Arc<Vouched>>,
        caller: String,
        callee: String,
    ) -> Result<Option<Outgoing>, DialFault> {
        let signed = came.filter(|vouched| !vouched.headers.is_empty());
        if let Some(signed) = signed.filter(|signed| signed.callee.as_deref() == Some(callee.as_str())) {
            return Ok(Some(Outgoing::Passed(signed.headers.clone())));
        }
        if !self.signs(request).await? {
            return Ok(None);
        }
        let Some(signer) = self.stir.signer(request.account).await.map_err(unreadable)? else {
            tracing::warn!(account = %request.account, "a call is to be signed, and there is no certificate to sign with");
            return Ok(None);
        };
        let (orig, dest) = (Party::Tn(caller.clone()), Party::Tn(callee));
        // RFC 8946 4.1: nobody puts a diversion on top of what does not hold.
        let holds = signed.filter(|signed| !matches!(signed.verdict, Some(Err(_))));
        if let Some((signed, div)) = holds.and_then(|signed| Some((signed, signed.callee.clone()?))) {
            let came = signed.headers.clone();
            return Ok(Some(Outgoing::Diverted { came, signer, orig, div: Party::Tn(div), dest }));
        }
        let attest = match came {
            // Only somebody outside says that it is this number, be it one of ours.
            Some(came) if !came.authenticated => Attest::C,
            _ => self.attestation(request, &caller).await?,
        };
        let call = Origination { orig, dest, attest, origid: request.account.to_string() };
        Ok(Some(Outgoing::Vouched { signer, call }))
    }

    /// Whether the outbound voice profile asks for signatures.
    async fn signs(&self, request: &DialRequest) -> Result<bool, DialFault> {
        let named = request.options.outbound_voice_profile.as_deref().and_then(|named| named.parse::<Uuid>().ok());
        let Some(profile) = named.or(request.voice_profile) else { return Ok(false) };
        let profile = self.directory.profile(request.account, profile).await.map_err(unreadable)?;
        Ok(profile.is_active && profile.shaken_sign_policy == 1)
    }

    /// A: the number is the account's. B: a customer of ours, with another number. C: who knows.
    async fn attestation(&self, request: &DialRequest, caller: &str) -> Result<Attest, DialFault> {
        if let Ok(tn) = caller.parse()
            && let Some(lease) = self.directory.lease(tn).await.map_err(unreadable)?
            && lease.account == request.account
        {
            return Ok(Attest::A);
        }
        let customer = request.vouched.as_ref().is_none_or(|vouched| vouched.authenticated);
        Ok(if customer { Attest::B } else { Attest::C })
    }

    /// A number as PASSporTs have it (RFC 8224 8.3): E.164 where it can be made so.
    fn party(&self, user: &str) -> Option<String> {
        self.number(user).map(|tn| tn.to_string()).or_else(|| canonical(user))
    }
}

/// What came with the call, where it says that this number calls.
fn said<'a>(request: &'a DialRequest, caller: &str) -> Option<&'a Arc<Vouched>> {
    request.vouched.as_ref().filter(|vouched| vouched.caller.as_deref() == Some(caller))
}

/// What the callee is told of this number.
pub(super) fn verstat(request: &DialRequest, caller: &str) -> Option<Verstat> {
    said(request, caller).and_then(|vouched| vouched.verstat())
}

impl LegContext {
    /// What is known of who calls.
    fn vouch(&mut self, vouched: Option<Arc<Vouched>>) {
        self.attest_level = vouched.as_ref().and_then(|vouched| vouched.attest()).map(level);
        self.related.stir_shaken = vouched.as_ref().and_then(|vouched| vouched.view()).map(Arc::new);
        self.vouched = vouched;
    }
}
