//! Who is calling: the telephone network, a trunk, a domain's switch, or a SIP user who proves it (domain.md, inbound call 1).

use std::sync::Arc;
use std::time::Instant;

use opentact_sip::digest::{Authorization, Ha1, Hash, Realm, Verdict};
use opentact_store::StoreError;
use opentact_store::connections::SipConnection;
use opentact_store::domains::SipDomain;

use super::directory::Subscriber;
use super::is_closed;
use super::trunks::unix_now;
use super::{Admission, Inquiry, Refusal, Registration, Router};

/// Where a call comes from, once that is sure.
pub(super) enum Caller {
    /// A carrier of the product: what it brings is for whoever leases the number.
    Network,
    /// The trunks it may come over: the number that is called tells which it is.
    Trunks(Vec<SipConnection>),
    /// A switch of this domain.
    Switch(Arc<SipDomain>),
    User(Arc<Subscriber>),
}

/// What a login attempt came to.
enum Login {
    User(Arc<Subscriber>),
    Challenge(Vec<String>),
    Refuse(Refusal),
}

impl Router {
    /// Decides what becomes of an INVITE.
    pub async fn admit(&self, inquiry: Inquiry) -> Admission {
        let caller = match self.caller(&inquiry).await {
            Ok(Ok(caller)) => caller,
            Ok(Err(admission)) => return admission,
            Err(error) => return Admission::Refuse(failure(&error)),
        };
        let authenticated = matches!(caller, Caller::User(_) | Caller::Switch(_));
        match self.called(&inquiry, caller).await {
            Ok(mut plan) => {
                plan.context.block = self.block(&plan.from).await;
                self.screen(&inquiry, authenticated, plan).await
            }
            Err(refusal) => Admission::Refuse(refusal),
        }
    }

    /// Decides whether a REGISTER is its user's own.
    pub async fn register(&self, inquiry: Inquiry) -> Registration {
        let login = match self.login(&inquiry, inquiry.to.host()).await {
            Ok(login) => login,
            Err(error) => return Registration::Refuse(failure(&error)),
        };
        match login {
            Login::Challenge(values) => Registration::Challenge(values),
            Login::Refuse(refusal) => Registration::Refuse(refusal),
            Login::User(subscriber) => {
                let own = inquiry.to.user_text().is_some_and(|login| login == subscriber.user.login);
                if !own {
                    // RFC 3261 10.3 step 4: authenticated, but not for this address of record.
                    return Registration::Refuse(Refusal::new(403, "Not Your Address"));
                }
                Registration::Accept { sip_user: subscriber.user.uuid, aor: subscriber.address() }
            }
        }
    }

    pub(super) async fn caller(&self, inquiry: &Inquiry) -> Result<Result<Caller, Admission>, StoreError> {
        // A page in a browser at a trunk's address is not the trunk: over WebSocket only users call.
        let server = !inquiry.transport.is_websocket();
        if server && self.carriers.load().iter().any(|carrier| carrier.address == inquiry.source) {
            return Ok(Ok(Caller::Network));
        }
        let certified = self.trunks_named(&inquiry.certified).await?;
        if !certified.is_empty() {
            return self.by_digest(inquiry, certified).await;
        }
        let trunks = if server { self.trunks_at(inquiry.source.ip()).await? } else { Vec::new() };
        let by_port = trunks.iter().filter(|trunk| trunk.port == i64::from(inquiry.source.port()));
        let by_port: Vec<SipConnection> = by_port.cloned().collect();
        if !by_port.is_empty() {
            return self.by_digest(inquiry, by_port).await;
        }
        if server && let Some(switch) = self.switch_at(inquiry, inquiry.source.ip(), !trunks.is_empty()).await? {
            return Ok(switch.map(Caller::Switch));
        }
        // A phone behind the address of a trunk says in From which domain it belongs to.
        for host in [inquiry.from.host(), inquiry.request_uri.host()] {
            if self.directory.domain(host).await?.is_some() {
                return Ok(match self.login(inquiry, host).await? {
                    Login::User(subscriber) => Ok(Caller::User(subscriber)),
                    Login::Challenge(values) => Err(Admission::Challenge(values)),
                    Login::Refuse(refusal) => Err(Admission::Refuse(refusal)),
                });
            }
        }
        match server {
            true => self.by_digest(inquiry, trunks).await,
            false => Ok(Err(Admission::Refuse(Refusal::new(403, "Forbidden")))),
        }
    }

    /// Digest authentication (RFC 8760) against the users of a domain.
    async fn login(&self, inquiry: &Inquiry, domain: &str) -> Result<Login, StoreError> {
        let Some(domain) = self.directory.domain(domain).await? else {
            return Ok(Login::Refuse(Refusal::new(404, "Domain Not Found")));
        };
        let name = domain.domain.as_str();
        let source = inquiry.source.ip();
        let realm = Realm { name, client: Some(source) };
        let now = unix_now();
        let algorithms = &self.config.digest;
        let values = inquiry.authorization.iter().map(|value| value.as_ref());
        let Some(authorization) = Authorization::find(values, name) else {
            return Ok(Login::Challenge(self.challenger.lock().challenge(realm, algorithms, false, now)));
        };
        // Some phones give the whole address as their user name.
        let login = authorization.user.strip_suffix(&format!("@{name}")).unwrap_or(&authorization.user);
        let whole = login.len() != authorization.user.len();
        let address = format!("{login}@{name}");
        if self.gate.lock().is_locked(Instant::now(), source, &address) {
            return Ok(Login::Refuse(Refusal::new(403, "Forbidden")));
        }
        let subscriber = self.directory.subscriber(login, name).await?.filter(|known| known.user.is_active);
        let secret = subscriber.as_ref().and_then(|known| match authorization.algorithm.hash() {
            Hash::Md5 if whole => Some(Ha1::from_hex(&known.ha1.md5_b)),
            Hash::Md5 => Some(Ha1::from_hex(&known.ha1.md5)),
            Hash::Sha256 if whole => None,
            Hash::Sha256 => Some(Ha1::from_hex(&known.ha1.sha256)),
        });
        let verdict =
            self.challenger.lock().verify(&authorization, realm, &inquiry.method, algorithms, secret.as_ref(), now);
        match (verdict, subscriber) {
            (Verdict::Ok(_), Some(subscriber)) => {
                self.gate.lock().auth_passed(source, &address);
                if is_closed(&*self.directory.account(subscriber.user.account).await?) {
                    return Ok(Login::Refuse(Refusal::new(403, "Account Disabled")));
                }
                let for_help = inquiry.request_uri.user_text().is_some_and(|called| self.is_emergency(&called));
                if !self.gate.lock().admits_user(Instant::now(), &address) && !for_help {
                    return Ok(Login::Refuse(Refusal::new(503, "Too Many Requests")));
                }
                Ok(Login::User(subscriber))
            }
            (Verdict::Stale, _) => Ok(Login::Challenge(self.challenger.lock().challenge(realm, algorithms, true, now))),
            // An unknown user and a wrong password look the same from outside.
            _ => {
                self.gate.lock().auth_failed(Instant::now(), source, &address);
                Ok(Login::Refuse(Refusal::new(403, "Forbidden")))
            }
        }
    }
}

fn failure(error: &StoreError) -> Refusal {
    tracing::error!(%error, "routing could not read the store");
    Refusal::new(503, "Service Unavailable")
}
