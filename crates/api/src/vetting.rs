//! Brands and campaigns of 10DLC on their way: filed with the registry, which is asked until it has decided.
//!
//! What is to be asked, and when, is in the database, so that a restart loses nothing. Each node looks; a row is changed only
//! as it was read, so that of two that ask one tells.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use opentact_engine::ports::{CampaignRegistry, Filing, Verdict};
use opentact_events::{Hub, NewEvent};
use opentact_store::Store;
use opentact_store::tcr::{Brand, Campaign};
use opentact_store::types::{Vetting as Status, now};
use tokio::sync::mpsc;

use crate::error::AppError;

/// Rows read at once.
const PAGE: u64 = 100;
/// How long it is not looked when nothing is due: another node may have written something.
const IDLE: Duration = Duration::from_secs(60);
/// Pause after the registry, or the database, failed.
const PAUSE: Duration = Duration::from_secs(30);

/// Where brands and campaigns are filed. Ends with the last clone.
#[derive(Clone)]
pub(crate) struct Vetting {
    desk: Arc<Desk>,
    wake: mpsc::Sender<()>,
}

struct Desk {
    store: Store,
    hub: Hub,
    registry: Arc<dyn CampaignRegistry>,
}

/// How far something is with the registry.
struct Standing {
    registry_id: Option<String>,
    status: Status,
    reason: Option<String>,
    filed_on: Option<DateTime<Utc>>,
    look_on: Option<DateTime<Utc>>,
}

impl Vetting {
    pub(crate) fn start(store: Store, hub: Hub, registry: Arc<dyn CampaignRegistry>) -> Self {
        // One call is as good as many.
        let (wake, woken) = mpsc::channel(1);
        let desk = Arc::new(Desk { store, hub, registry });
        tokio::spawn(run(desk.clone(), woken));
        Self { desk, wake }
    }

    /// Tells of a brand that was made or changed, and files it; what it is then. A registry that cannot be reached is tried
    /// again later.
    pub(crate) async fn file_brand(&self, brand: Brand, tell: bool) -> Result<Brand, AppError> {
        if tell {
            self.desk.tell(NewEvent::tcr_brand(&brand));
        }
        let brand = self.desk.attend_brand(brand).await?;
        self.wake();
        Ok(brand)
    }

    /// The same of a campaign.
    pub(crate) async fn file_campaign(
        &self,
        campaign: Campaign,
        brand: &Brand,
        tell: bool,
    ) -> Result<Campaign, AppError> {
        if tell {
            self.desk.tell(NewEvent::tcr_campaign(&campaign, brand));
        }
        let campaign = self.desk.attend_campaign(campaign, brand).await?;
        self.wake();
        Ok(campaign)
    }

    /// It is gone here; there it is not asked for again, so that what fails is told in the log.
    pub(crate) async fn withdraw(&self, filing: Filing<'_>) {
        if let Err(error) = self.desk.registry.withdraw(filing).await {
            tracing::error!(filing = %filing.uuid(), %error, "the registry did not take a deletion");
        }
    }

    fn wake(&self) {
        // Full: it looks anyway.
        let _ = self.wake.try_send(());
    }
}

async fn run(desk: Arc<Desk>, mut woken: mpsc::Receiver<()>) {
    loop {
        let pause = desk.sweep().await.unwrap_or_else(|error| {
            tracing::error!(%error, "brands and campaigns are not looked after, trying again later");
            PAUSE
        });
        tokio::select! {
            called = woken.recv() => if called.is_none() { return },
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Desk {
    /// Asks of all that is due; how long nothing will be.
    async fn sweep(&self) -> Result<Duration, AppError> {
        let (brands, campaigns) = (self.store.brands(), self.store.campaigns());
        for brand in brands.due(now(), PAGE).await? {
            self.attend_brand(brand).await?;
        }
        for campaign in campaigns.due(now(), PAGE).await? {
            let brand = brands.get(campaign.account, campaign.brand).await?;
            self.attend_campaign(campaign, &brand).await?;
        }
        let next = brands.next_look().await?.into_iter().chain(campaigns.next_look().await?).min();
        Ok(next.map_or(IDLE, |next| (next - Utc::now()).to_std().unwrap_or_default()).min(IDLE))
    }

    async fn attend_brand(&self, brand: Brand) -> Result<Brand, AppError> {
        let at = Standing {
            registry_id: brand.registry_id.clone(),
            status: brand.status,
            reason: brand.reason.clone(),
            filed_on: brand.filed_on,
            look_on: brand.look_on,
        };
        let to = self.step(Filing::Brand(&brand), at).await;
        let brands = self.store.brands();
        let settled = brands.settle(&brand, |row| {
            (row.registry_id, row.status, row.reason) = (to.registry_id, to.status, to.reason);
            (row.filed_on, row.look_on) = (to.filed_on, to.look_on);
        });
        let Some(settled) = settled.await? else { return Ok(brand) };
        if settled.status != brand.status {
            self.tell(NewEvent::tcr_brand(&settled));
        }
        Ok(settled)
    }

    async fn attend_campaign(&self, campaign: Campaign, brand: &Brand) -> Result<Campaign, AppError> {
        let at = Standing {
            registry_id: campaign.registry_id.clone(),
            status: campaign.status,
            reason: campaign.reason.clone(),
            filed_on: campaign.filed_on,
            look_on: campaign.look_on,
        };
        let to = self.step(Filing::Campaign { campaign: &campaign, brand }, at).await;
        let campaigns = self.store.campaigns();
        let settled = campaigns.settle(&campaign, |row| {
            (row.registry_id, row.status, row.reason) = (to.registry_id, to.status, to.reason);
            (row.filed_on, row.look_on) = (to.filed_on, to.look_on);
        });
        let Some(settled) = settled.await? else { return Ok(campaign) };
        if settled.status != campaign.status {
            self.tell(NewEvent::tcr_campaign(&settled, brand));
        }
        Ok(settled)
    }

    /// Files what is not, else asks.
    async fn step(&self, filing: Filing<'_>, at: Standing) -> Standing {
        let now = now();
        if at.filed_on.is_none() {
            return match self.registry.file(filing).await {
                Ok(id) => Standing { registry_id: Some(id), filed_on: Some(now), look_on: Some(now), ..at },
                Err(error) => {
                    tracing::warn!(filing = %filing.uuid(), %error, "the registry takes nothing, trying again later");
                    Standing { look_on: Some(now + PAUSE), ..at }
                }
            };
        }
        match self.registry.verdict(filing).await {
            Ok(Verdict::Pending(again)) => Standing { look_on: Some(now + again), ..at },
            Ok(Verdict::Approved) => Standing { status: Status::Approved, reason: None, look_on: None, ..at },
            Ok(Verdict::Rejected { reason }) => {
                Standing { status: Status::Rejected, reason: Some(reason), look_on: None, ..at }
            }
            Err(error) => {
                tracing::warn!(filing = %filing.uuid(), %error, "the registry does not say, trying again later");
                Standing { look_on: Some(now + PAUSE), ..at }
            }
        }
    }

    /// The row is on disk already; a lost event is logged and does not fail it.
    fn tell(&self, event: NewEvent) {
        let about = event.ref_id;
        if let Err(refused) = self.hub.publish(event) {
            tracing::error!(?about, %refused, "event lost");
        }
    }
}
