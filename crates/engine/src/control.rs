//! The calls of this node as the REST API drives them: requests checked and routed here, then handed to the core.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use opentact_call::{CallType, Detection, DialOptions, DialSpec, DialTarget, LegId, OutboundStart, Q850, Target};
use opentact_callflow::Document;
use opentact_media::{LegStats, amd};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use crate::core::{Message, Stats, new_leg, quality};
use crate::ports::{CallControl, ControlError, DevCall, DevCaller, FlowSource, LegMessage, Originate, Registration};
use crate::router::{About, App, DialFault, DialPlan, DialRequest, Router};

/// An order to the core. A reply that is not awaited any more is dropped.
pub(crate) enum ControlRequest {
    Originate {
        start: Box<OutboundStart>,
        plan: Box<DialPlan>,
        /// By what it is judged who has answered.
        amd: Option<amd::Settings>,
        /// Told of its end.
        ended: Option<oneshot::Sender<CallEnd>>,
        reply: oneshot::Sender<Result<Value, ControlError>>,
    },
    Run {
        account: Uuid,
        call: LegId,
        document: Document,
        reply: oneshot::Sender<Result<Value, ControlError>>,
    },
    Bridge {
        account: Uuid,
        calls: [LegId; 2],
        reply: oneshot::Sender<Result<Value, ControlError>>,
    },
    Hangup {
        account: Uuid,
        call: LegId,
        cause: Q850,
        reply: oneshot::Sender<Result<Value, ControlError>>,
    },
    Online {
        account: Uuid,
        reply: oneshot::Sender<Vec<Value>>,
    },
    Get {
        account: Uuid,
        call: LegId,
        reply: oneshot::Sender<Option<Value>>,
    },
    Trace {
        account: Uuid,
        call: LegId,
        reply: oneshot::Sender<Vec<LegMessage>>,
    },
    /// Each leg answers for itself.
    Quality {
        account: Uuid,
        call: LegId,
        reply: oneshot::Sender<Vec<(Uuid, oneshot::Receiver<LegStats>)>>,
    },
    Registrations {
        sip_user: Uuid,
        reply: oneshot::Sender<Vec<Registration>>,
    },
    Stats {
        reply: oneshot::Sender<Stats>,
    },
    /// No new calls. `drained` is told when the last live one has ended, `quiet` when the other sides know it too.
    Drain {
        drained: oneshot::Sender<()>,
        quiet: oneshot::Sender<()>,
    },
    /// Every live call is hung up, and whoever is being routed refused.
    HangUpAll,
    /// What a test does to the core.
    #[cfg(test)]
    Meddle(Box<dyn FnOnce(&mut crate::core::Core) + Send>),
}

/// How a call has ended.
#[derive(Debug, Clone)]
pub(crate) struct CallEnd {
    pub(crate) answered: bool,
    pub(crate) cause: Q850,
    /// Where more is known than the cause says.
    pub(crate) reason: Option<String>,
    /// Who has answered, where that was found out.
    pub(crate) amd: Option<String>,
}

/// What a call is for that a batch makes.
pub(crate) struct BatchCall {
    pub(crate) item: Uuid,
    /// The id that the call is to have.
    pub(crate) call: Uuid,
    /// Variables of its flow.
    pub(crate) vars: serde_json::Map<String, Value>,
    pub(crate) ended: oneshot::Sender<CallEnd>,
}

/// Implements [`CallControl`] on a core.
pub struct Control {
    pub(crate) core: mpsc::Sender<Message>,
    pub(crate) router: Arc<Router>,
    pub(crate) park_timeout: Duration,
    pub(crate) dev: OnceLock<Arc<dyn DevCaller>>,
    /// Told when batches have been made or changed.
    pub(crate) batches: watch::Sender<()>,
}

impl Control {
    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> ControlRequest) -> Result<T, ControlError> {
        let stopping = || ControlError::Unavailable {
            reason: "The node is stopping".to_owned(),
            retry_after: Duration::from_secs(5),
        };
        let (reply, answer) = oneshot::channel();
        self.core.send(Message::Control(request(reply))).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())
    }

    /// What the core holds; `None` once it has stopped.
    pub(crate) async fn stats(&self) -> Option<Stats> {
        self.ask(|reply| ControlRequest::Stats { reply }).await.ok()
    }

    /// Starts a call, of a batch or of its own.
    pub(crate) async fn place(&self, request: Originate, batch: Option<BatchCall>) -> Result<Value, ControlError> {
        let target = destination("to", &request.to)?;
        let from = match request.tn_lease {
            Some(lease) => Some(self.router.lease_number(request.account, lease).await?.plus()),
            None => request.from.clone(),
        };
        let options = DialOptions {
            sip_connection: request.sip_connection.map(|uuid| uuid.to_string()),
            outbound_voice_profile: request.outbound_voice_profile.map(|uuid| uuid.to_string()),
        };
        // Where nothing says who calls, the account's first profile does.
        let voice_profile = match (&from, request.outbound_voice_profile) {
            (None, None) => self.router.first_voice_profile(request.account).await?,
            _ => None,
        };
        let dial = DialRequest {
            account: request.account,
            target: target.clone(),
            from,
            options: options.clone(),
            voice_profile,
            own_number: None,
            caller_domain: None,
            vouched: None,
        };
        let mut plan =
            self.router.dial(dial).await.map_err(|fault| dial_error(fault, request.from.as_deref(), &request.to))?;
        let (from, to) = (plan.caller(), target.to_string());
        let (flow, app) = self.target(request.account, request.flow, (&from, &to), options.clone()).await?;
        if let Some(app) = app {
            plan.context.handled_by(&app.row);
        }
        plan.context.block = self.router.block(&from).await;
        let mut variables = plan.context.variables(&from);
        for (name, value) in &request.meta {
            variables.set(format!("meta.{name}"), text(value));
        }
        plan.context.meta = request.meta;
        let (mut leg, mut kind, mut ended) = (new_leg(), CallType::Sca, None);
        if let Some(batch) = batch {
            (leg, kind, ended) = (LegId(batch.call), CallType::Batch, Some(batch.ended));
            plan.context.batch_item = Some(batch.item);
            for (name, value) in &batch.vars {
                variables.set(name, text(value));
            }
        }
        let start = OutboundStart {
            leg,
            from,
            dial: target,
            options,
            timeout: request.timeout,
            kind,
            target: flow,
            max_length: request.max_length,
            record: request.record,
            detection: request.amd.map(|amd| if amd.sync { Detection::Sync } else { Detection::Async }),
            variables,
        };
        let amd = request.amd.map(|amd| amd.settings);
        let (start, plan) = (Box::new(start), Box::new(plan));
        self.ask(|reply| ControlRequest::Originate { start, plan, amd, ended, reply }).await?
    }

    async fn target(
        &self,
        account: Uuid,
        flow: FlowSource,
        (from, to): (&str, &str),
        options: DialOptions,
    ) -> Result<(Target, Option<Arc<App>>), ControlError> {
        match flow {
            FlowSource::Document(document) => Ok((Target::Flow(document), None)),
            FlowSource::App(app) => {
                let (target, app) = self.router.app_target(account, app, from, to).await?;
                Ok((target, Some(app)))
            }
            FlowSource::Url(url) => Ok((self.router.url_target(url, from, to), None)),
            FlowSource::Dial { to, timeout } => {
                let target = destination("to_leg.to", &to)?;
                Ok((Target::Bridge { dial: DialSpec { options, ..DialSpec::new(vec![target], timeout) } }, None))
            }
            FlowSource::Park => Ok((Target::Park { timeout: self.park_timeout }, None)),
        }
    }
}

#[async_trait]
impl CallControl for Control {
    async fn originate(&self, request: Originate) -> Result<Value, ControlError> {
        self.place(request, None).await
    }

    async fn run_flow(&self, account: Uuid, call: Uuid, document: Document) -> Result<Value, ControlError> {
        self.ask(|reply| ControlRequest::Run { account, call: LegId(call), document, reply }).await?
    }

    async fn bridge(&self, account: Uuid, calls: [Uuid; 2]) -> Result<Value, ControlError> {
        self.ask(|reply| ControlRequest::Bridge { account, calls: calls.map(LegId), reply }).await?
    }

    async fn hangup(&self, account: Uuid, call: Uuid, cause: Option<u8>) -> Result<Value, ControlError> {
        let cause = match cause {
            None => Q850::NORMAL_CLEARING,
            Some(cause) => Q850::new(cause).ok_or_else(|| ControlError::Invalid {
                field: "cause",
                message: "must be a Q.850 cause, 1..127".to_owned(),
                value: cause.to_string(),
            })?,
        };
        self.ask(|reply| ControlRequest::Hangup { account, call: LegId(call), cause, reply }).await?
    }

    async fn online(&self, account: Uuid) -> Result<Vec<Value>, ControlError> {
        self.ask(|reply| ControlRequest::Online { account, reply }).await
    }

    async fn get(&self, account: Uuid, call: Uuid) -> Result<Option<Value>, ControlError> {
        self.ask(|reply| ControlRequest::Get { account, call: LegId(call), reply }).await
    }

    async fn trace(&self, account: Uuid, call: Uuid) -> Result<Vec<LegMessage>, ControlError> {
        self.ask(|reply| ControlRequest::Trace { account, call: LegId(call), reply }).await
    }

    async fn quality(&self, account: Uuid, call: Uuid) -> Result<Vec<(Uuid, Value)>, ControlError> {
        let mut legs = Vec::new();
        for (leg, answer) in self.ask(|reply| ControlRequest::Quality { account, call: LegId(call), reply }).await? {
            // One that has ended meanwhile does not answer; its record will say.
            if let Ok(stats) = answer.await {
                legs.push((leg, quality::view(&stats)));
            }
        }
        Ok(legs)
    }

    async fn registrations(&self, sip_user: Uuid) -> Vec<Registration> {
        self.ask(|reply| ControlRequest::Registrations { sip_user, reply }).await.unwrap_or_default()
    }

    fn trunk_health(&self, trunk: Uuid) -> crate::ports::TrunkHealth {
        self.router.board().health(trunk)
    }

    fn invalidate(&self, account: Uuid) {
        self.router.invalidate(account);
    }

    fn batches_changed(&self) {
        // Without anybody who listens the node is stopping.
        let _ = self.batches.send(());
    }

    async fn dev_call(&self, request: DevCall) -> Result<Value, ControlError> {
        let Some(dev) = self.dev.get() else {
            return Err(ControlError::NotFound("Dev carrier"));
        };
        dev.place_call(request).await
    }
}

/// A value as a variable of a flow has it.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whom one property of a request names.
fn destination(field: &'static str, text: &str) -> Result<DialTarget, ControlError> {
    DialTarget::parse(text).map_err(|message| ControlError::Invalid { field, message, value: text.to_owned() })
}

/// A fault of routing as the answer to the request that asked for it. `from` and `to` are what it gave.
fn dial_error(fault: DialFault, from: Option<&str>, to: &str) -> ControlError {
    let invalid = |field, value: &str, message| ControlError::Invalid { field, message, value: value.to_owned() };
    match fault.about {
        About::Account => ControlError::Conflict(fault.reason),
        About::Balance => ControlError::InsufficientBalance,
        About::Country => ControlError::Forbidden { code: 406, message: fault.reason },
        About::Spend => ControlError::Forbidden { code: 407, message: fault.reason },
        About::Rate => ControlError::Forbidden { code: 408, message: fault.reason },
        About::Caller => invalid("from", from.unwrap_or_default(), fault.reason),
        About::Callee => invalid("to", to, fault.reason),
        About::Way => ControlError::Unavailable { reason: fault.reason, retry_after: Duration::from_secs(5) },
    }
}
