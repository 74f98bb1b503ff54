//! What a server with an empty database begins with: an owner, a SIP domain with a phone, a number to call from.

use anyhow::Context as _;
use opentact_engine::ports::{NumberCarrier, NumberQuery};
use opentact_store::accounts::NewAccount;
use opentact_store::domains::NewDomain;
use opentact_store::numbers::NewLease;
use opentact_store::sip_users::NewSipUser;
use opentact_store::types::{AccountLevel, Feature, Role, TnKind};
use opentact_store::users::NewUser;
use opentact_store::voice_profiles::NewVoiceProfile;
use opentact_store::{Money, Store, Tn};
use rand::Rng as _;
use rand::distr::Alphanumeric;
use uuid::Uuid;

use crate::client::Credentials;
use crate::config::Config;
use crate::config::value::Secret;

/// What the first account has to spend with the simulated network.
const BALANCE: i64 = 100;
const DOMAIN_LABEL: &str = "home";
const SIP_LOGIN: &str = "phone";
const PASSWORD_LENGTH: usize = 20;

/// What first start made, to be told once.
#[derive(Debug)]
pub struct FirstStart {
    /// Of the owner; `None` when the configuration gave it.
    pub password: Option<String>,
}

/// Makes the first account when there is none. `None` when there is one.
///
/// # Errors
/// The database's and the carrier's; the credentials file cannot be written.
pub async fn ensure(store: &Store, config: &Config, numbers: &dyn NumberCarrier) -> anyhow::Result<Option<FirstStart>> {
    if store.accounts().any().await? {
        return Ok(None);
    }
    let general = &config.general;
    let (password, random) = match &general.admin_password {
        Some(Secret(password)) => (password.clone(), None),
        None => {
            let password = random_password();
            (password.clone(), Some(password))
        }
    };
    let account = NewAccount {
        name: "Home".to_owned(),
        email: general.admin_email.clone(),
        // The operator's own.
        level: Some(AccountLevel::ServiceAccount),
        balance: Money::units(BALANCE),
        ..NewAccount::default()
    };
    let owner = NewUser::new(general.admin_email.clone(), password, Role::Admin);
    let (account, owner) = store.users().sign_up(account, owner).await.context("making the first account")?;
    let (account, owner) = (account.uuid, owner.uuid);

    let lease = give_number(store, numbers, account, owner).await?;
    let profile = NewVoiceProfile { tn_lease: lease, ..NewVoiceProfile::new("Default") };
    let profile = store.voice_profiles().create(account, Some(owner), profile).await?;
    let domain = NewDomain {
        domain: format!("{DOMAIN_LABEL}.{}", config.sip.domain),
        outbound_voice_profile: Some(profile.uuid),
        sip_connection: None,
        sip_control_app: None,
    };
    let domain = store.domains().create(account, Some(owner), domain).await?;
    let sip_password = random_password();
    let phone = NewSipUser {
        tn_lease: lease,
        login: SIP_LOGIN.to_owned(),
        password: sip_password.clone(),
        ..NewSipUser::default()
    };
    let phone = store.sip_users().create(account, Some(owner), domain.uuid, phone).await?;
    if let Some(lease) = lease {
        let ring = |row: &mut opentact_store::numbers::TnLease| row.sip_user = Some(phone.uuid);
        store.numbers().update_lease(account, lease, Some(owner), ring).await?;
    }
    let (_, token) = store.tokens().create(account, owner, "command line", None, Vec::new()).await?;

    Credentials {
        email: general.admin_email.clone(),
        token,
        sip_domain: domain.domain,
        sip_user: SIP_LOGIN.to_owned(),
        sip_password,
    }
    .write(&general.data)
    .context("credentials.json")?;
    Ok(Some(FirstStart { password: random }))
}

/// Leases the carrier's first number, free of charge: it is a sample, and calls and SMS need one to come from.
async fn give_number(
    store: &Store,
    numbers: &dyn NumberCarrier,
    account: Uuid,
    owner: Uuid,
) -> anyhow::Result<Option<Uuid>> {
    let query = NumberQuery { kind: Some("long_code".to_owned()), ..NumberQuery::default() };
    let (offers, _) = numbers.search(&query, &|_| false, 0, 1).await?;
    let Some(offer) = offers.into_iter().next() else { return Ok(None) };
    numbers.buy(offer.tn).await?;
    let kind = TnKind::LongCode;
    let wanted = vec![Feature::Voice, Feature::Sms];
    let lease = NewLease {
        tn: Tn::try_from(offer.tn)?,
        kind,
        country: offer.country.to_owned(),
        state: offer.state.map(str::to_owned),
        city: offer.city.map(str::to_owned),
        rate_center: offer.rate_center.map(str::to_owned),
        features: wanted.clone(),
        carrier: numbers.name().to_owned(),
        profile: store.numbers().profile_for(kind, offer.country).await?.uuid,
        order: None,
        subscriptions: wanted,
        autorenew: true,
        expired_on: chrono::Utc::now() + chrono::Months::new(1),
        created_by: Some(owner),
    };
    let (lease, _) = store.numbers().lease(account, lease, |_| Vec::new()).await?;
    Ok(Some(lease.uuid))
}

/// Letters and digits of 119 bits.
pub fn random_password() -> String {
    rand::rng().sample_iter(Alphanumeric).take(PASSWORD_LENGTH).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Loaded;
    use opentact_carrier::dev::DevNumbers;

    fn config(data: &std::path::Path, variables: &[(&str, &str)]) -> Config {
        let mut variables: Vec<_> = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        variables.push(("OPENTACT_DATA".to_owned(), data.display().to_string()));
        Loaded::read(None, variables.into_iter(), &[]).unwrap().config
    }

    #[tokio::test]
    async fn an_owner_with_a_phone_a_number_and_a_balance() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::in_memory().await.unwrap();
        let config = config(data.path(), &[]);
        let made = ensure(&store, &config, &DevNumbers).await.unwrap().unwrap();
        let password = made.password.unwrap();
        let (owner, account) = store.users().authenticate("admin@localhost", &password).await.unwrap().unwrap();
        assert_eq!((owner.role, account.balance), (Role::Admin, Money::units(100)));

        let credentials = Credentials::read(data.path()).unwrap();
        assert!(store.tokens().authenticate(&credentials.token).await.unwrap().is_some());
        let (phone, domain) = store.sip_users().by_address("phone", "home.sip.localhost").await.unwrap().unwrap();
        let expected = opentact_store::Ha1::new("phone", "home.sip.localhost", &credentials.sip_password);
        assert_eq!(store.sip_users().ha1(&phone).unwrap(), expected);
        assert!(domain.outbound_voice_profile.is_some());
        let leases = store.numbers().leases(account.uuid).await.unwrap();
        assert_eq!(leases.iter().map(|lease| lease.sip_user).collect::<Vec<_>>(), [Some(phone.uuid)]);
        assert_eq!(phone.tn_lease, Some(leases[0].uuid));
    }

    #[tokio::test]
    async fn only_once() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::in_memory().await.unwrap();
        let config = config(data.path(), &[("OPENTACT_ADMIN_PASSWORD", "given by the owner")]);
        let made = ensure(&store, &config, &DevNumbers).await.unwrap().unwrap();
        assert!(made.password.is_none());
        assert!(ensure(&store, &config, &DevNumbers).await.unwrap().is_none());
        assert_eq!(store.accounts().all().await.unwrap().len(), 1);
    }
}
