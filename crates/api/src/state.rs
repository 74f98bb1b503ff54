//! What every handler has at hand.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentact_engine::http::HttpClient;
use opentact_engine::mail::Post;
use opentact_engine::ports::{CallControl, CampaignRegistry, MessageControl, NumberCarrier, NumberData};
use opentact_engine::recordings::Archive;
use opentact_engine::speech::Speech;
use opentact_events::Hub;
use opentact_stir::TestAuthority;
use opentact_store::Store;
use tokio::sync::oneshot;

use crate::auth::{Guard, Jwt, PasswordCheck, Social};
use crate::error::AppError;
use crate::lerg::Uploads;
use crate::limits::{Clock, Limiter};
use crate::lookup::Lookup;
use crate::mail::Outbox;
use crate::orders::Orders;
use crate::settings::Settings;
use crate::terms::Terms;
use crate::vetting::Vetting;
use crate::ws::Seats;

/// Parts of the product that the API drives.
pub struct Parts {
    pub store: Store,
    pub hub: Hub,
    pub calls: Arc<dyn CallControl>,
    pub messages: Arc<dyn MessageControl>,
    pub numbers: Arc<dyn NumberCarrier>,
    /// Who knows more of numbers than they say themselves.
    pub number_data: Arc<dyn NumberData>,
    /// Of 10DLC.
    pub registry: Arc<dyn CampaignRegistry>,
    pub archive: Arc<Archive>,
    pub speech: Arc<dyn Speech>,
    pub post: Arc<dyn Post>,
    /// Asks who vouches for users.
    pub http: HttpClient,
    /// Makes certificates for tests of STIR/SHAKEN, where there is one.
    pub authority: Option<Arc<TestAuthority>>,
    /// Signs JWTs: at least 32 random octets, kept over restarts.
    pub jwt_secret: Vec<u8>,
    pub settings: Settings,
    /// By which requests are limited.
    pub clock: Clock,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct ApiState(Arc<Inner>);

pub struct Inner {
    pub store: Store,
    pub hub: Hub,
    pub calls: Arc<dyn CallControl>,
    pub messages: Arc<dyn MessageControl>,
    pub numbers: Arc<dyn NumberCarrier>,
    pub archive: Arc<Archive>,
    pub speech: Arc<dyn Speech>,
    pub(crate) authority: Option<Arc<TestAuthority>>,
    pub settings: Settings,
    pub(crate) jwt: Jwt,
    pub(crate) passwords: PasswordCheck,
    pub(crate) social: Social,
    pub(crate) limiter: Limiter,
    /// Mails that are asked for.
    pub(crate) mail_guard: Guard,
    pub(crate) outbox: Outbox,
    pub(crate) lookup: Lookup,
    /// Uploads of LERG files.
    pub(crate) lerg: Uploads,
    pub(crate) orders: Orders,
    pub(crate) vetting: Vetting,
    pub(crate) terms: Arc<Terms>,
    /// They end with this.
    _terms: oneshot::Sender<()>,
    pub(crate) seats: Seats,
    draining: AtomicBool,
}

impl ApiState {
    /// Starts the workers of orders, terms, vettings and mail; must be called within a tokio runtime.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts {
            store,
            hub,
            calls,
            messages,
            numbers,
            number_data,
            registry,
            archive,
            speech,
            post,
            http,
            authority,
            jwt_secret,
            settings,
            clock,
        } = parts;
        let domain = url::Url::parse(&settings.public_url)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_else(|| settings.sip_domain.clone());
        let jwt = Jwt::new(&jwt_secret, domain, settings.jwt_ttl);
        let terms = Arc::new(Terms {
            store: store.clone(),
            hub: hub.clone(),
            numbers: numbers.clone(),
            calls: calls.clone(),
            settings: settings.leases.clone(),
            orders: settings.orders.clone(),
        });
        let orders = Orders::start(store.clone(), hub.clone(), numbers.clone(), settings.orders.clone());
        Self(Arc::new(Inner {
            jwt,
            passwords: PasswordCheck::new(&settings),
            social: Social::new(http, &settings),
            limiter: Limiter::new(settings.rate, clock),
            mail_guard: Guard::new(
                settings.mail.per_address,
                settings.mail.per_recipient,
                settings.mail.window,
                "Too many mails",
            ),
            lerg: Uploads::default(),
            lookup: Lookup::new(store.clone(), number_data, &settings.lookup),
            outbox: Outbox::start(store.clone(), post, &settings),
            orders,
            vetting: Vetting::start(store.clone(), hub.clone(), registry),
            _terms: terms.clone().start(),
            terms,
            seats: Seats::default(),
            draining: AtomicBool::new(false),
            store,
            hub,
            calls,
            messages,
            numbers,
            archive,
            speech,
            authority,
            settings,
        }))
    }

    /// From now on nothing new is begun: `/rest/health/ready` answers 503, and so does what makes calls, messages and
    /// orders. Websockets stay open for the events of what still runs; they end with [`Hub::close`].
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// 503 while draining: for what begins something new.
    pub(crate) fn accepting(&self) -> Result<(), AppError> {
        if self.is_draining() {
            let reason = "The server is going down".to_owned();
            return Err(AppError::Unavailable { reason, retry_after: Duration::from_secs(5) });
        }
        Ok(())
    }

    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

impl Deref for ApiState {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl std::fmt::Debug for ApiState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiState").finish_non_exhaustive()
    }
}
