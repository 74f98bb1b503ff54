//! Calls for help: they go by a trunk of their own, and nothing that limits other calls keeps them.

use std::sync::Arc;

use opentact_call::DialTarget;
use opentact_store::connections::SipConnection;
use opentact_store::voice_profiles::OutboundVoiceProfile;
use serde_json::json;
use uuid::Uuid;

use super::directory::Tenant;
use super::{About, DialFault, DialPlan, DialRequest, LegContext, Router};

/// Which numbers are emergency numbers, and where calls to them go.
#[derive(Debug, Clone, Default)]
pub struct EmergencyConfig {
    /// As they are dialled.
    pub numbers: Vec<String>,
    /// A trunk of whatever account, for accounts whose outbound voice profile names none.
    pub trunk: Option<Uuid>,
}

impl Router {
    /// Whether that is dialled for help.
    pub(crate) fn is_emergency(&self, dialled: &str) -> bool {
        self.config.emergency.numbers.iter().any(|number| number == dialled)
    }

    /// The emergency number that a request is for.
    pub(super) fn emergency_number<'a>(&self, request: &'a DialRequest) -> Option<&'a str> {
        match &request.target {
            DialTarget::Number(number) if self.is_emergency(number) => Some(number),
            _ => None,
        }
    }

    /// By the trunk of the profile, else or when that cannot be used by the node's. Told either way.
    pub(super) async fn emergency_plan(
        &self,
        request: &DialRequest,
        account: &Arc<Tenant>,
        number: &str,
    ) -> Result<DialPlan, DialFault> {
        let profile = self.emergency_profile(request).await;
        let mut request = request.clone();
        // Who calls for help is to be called back and found: a withheld number is told here.
        let lease = profile.as_ref().and_then(|profile| profile.tn_lease);
        if let Ok(tn) = self.own_caller(&request, lease).await {
            request.from = Some(tn.plus());
        }
        let trunks = self.emergency_trunks(request.account, profile.as_deref()).await;
        let mut context = LegContext::of(account);
        context.voice_profile = request.voice_profile;
        let plan = match trunks.is_empty() {
            true => Err(DialFault::about(About::Way, 503, "there is no route for emergency calls")),
            false => self.trunk_plan(&request, context, &trunks, number).await,
        };
        let from = request.from.unwrap_or_default();
        let (state, reason) = match &plan {
            Ok(_) => ("routed", None),
            Err(fault) => ("no_route", Some(fault.reason.as_str())),
        };
        metrics::counter!("opentact_emergency_calls_total", "state" => state).increment(1);
        match reason {
            None => tracing::info!(account = %account.uuid, number, from, "emergency call"),
            Some(reason) => {
                tracing::error!(account = %account.uuid, number, from, reason, "emergency call without a way")
            }
        }
        let payload = json!({ "number": number, "from": from, "state": state, "reason": reason });
        self.journal.emergency_call(account.uuid, number, &from, state, &payload);
        plan
    }

    /// Whether it is active, and where it lets others call, does not matter.
    async fn emergency_profile(&self, request: &DialRequest) -> Option<Arc<OutboundVoiceProfile>> {
        let named = request.options.outbound_voice_profile.as_deref().and_then(|uuid| uuid.parse().ok());
        self.directory.profile(request.account, named.or(request.voice_profile)?).await.ok()
    }

    async fn emergency_trunks(&self, account: Uuid, profile: Option<&OutboundVoiceProfile>) -> Vec<Arc<SipConnection>> {
        let mut trunks = Vec::new();
        if let Some(uuid) = profile.and_then(|profile| profile.emergency_connection) {
            trunks.extend(self.directory.connection(account, uuid).await.ok());
        }
        if let Some(uuid) = self.config.emergency.trunk {
            trunks.extend(self.store.connections().any(uuid).await.ok().map(Arc::new));
        }
        trunks
    }
}
