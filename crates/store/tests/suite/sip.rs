use opentact_store::apps::NewApp;
use opentact_store::connections::NewConnection;
use opentact_store::domains::NewDomain;
use opentact_store::sip_users::NewSipUser;
use opentact_store::{Ha1, Keyring, Store, StoreError};
use uuid::Uuid;

use crate::world::{on_both, tenant};

async fn domain(store: &Store, account: Uuid, name: &str) -> Uuid {
    let new = NewDomain { domain: name.into(), ..Default::default() };
    store.domains().create(account, None, new).await.unwrap().uuid
}

on_both! {
    async fn a_phone_is_found_by_its_address_and_its_secret_opens(world: &World) {
        let store = &world.store;
        let users = store.sip_users();
        let (ada, _) = tenant(store, "ada", 0).await;
        let home = domain(store, ada.uuid, "home.sip.localhost").await;
        let new = NewSipUser { login: "phone".into(), password: "secret".into(), ..Default::default() };
        let phone = users.create(ada.uuid, None, home, new.clone()).await.unwrap();

        let (found, of) = users.by_address("phone", "HOME.sip.localhost").await.unwrap().unwrap();
        assert_eq!((&found, of.uuid), (&phone, home));
        assert_eq!(users.ha1(&found).unwrap(), Ha1::new("phone", "home.sip.localhost", "secret"));
        assert_eq!(users.by_address("phone", "away.sip.localhost").await.unwrap(), None);
        assert!(!serde_json::to_string(&found).unwrap().contains("ha1"));
        let again = users.create(ada.uuid, None, home, new).await;
        assert!(matches!(again, Err(StoreError::Conflict("SIPUser"))));

        let renamed = users.update(ada.uuid, phone.uuid, None, None, |u| u.login = "desk".into()).await;
        assert!(matches!(renamed, Err(StoreError::Invalid { field: "password", .. })));
        let renamed = users.update(ada.uuid, phone.uuid, None, Some("new"), |u| u.login = "desk".into()).await.unwrap();
        assert_eq!(users.ha1(&renamed).unwrap(), Ha1::new("desk", "home.sip.localhost", "new"));
        let quiet = users.update(ada.uuid, phone.uuid, None, None, |u| u.is_active = false).await.unwrap();
        assert_eq!(users.ha1(&quiet).unwrap(), Ha1::new("desk", "home.sip.localhost", "new"));
        assert!(!quiet.is_active);

        // Another key opens nothing.
        let other = Store::connect(&world.settings, Keyring::ephemeral().unwrap()).await.unwrap();
        assert!(matches!(other.sip_users().ha1(&quiet), Err(StoreError::Sealed)));
        other.close().await.unwrap();
    }

    async fn domain_names_are_taken_once_over_all_accounts(world: &World) {
        let store = &world.store;
        let (ada, _) = tenant(store, "ada", 0).await;
        let (bob, _) = tenant(store, "bob", 0).await;
        let home = domain(store, ada.uuid, "home.sip.localhost").await;
        let again = NewDomain { domain: "HOME.sip.localhost".into(), ..Default::default() };
        let again = store.domains().create(bob.uuid, None, again).await;
        assert!(matches!(again, Err(StoreError::Conflict("SIPDomain"))));
        let theirs = store.domains().get_by_name(bob.uuid, "home.sip.localhost").await;
        assert!(matches!(theirs, Err(StoreError::NotFound("SIPDomain"))));
        let foreign = store.apps().create(bob.uuid, None, NewApp::new("desk")).await.unwrap().uuid;
        let pointed = store.domains().update(ada.uuid, home, None, |d| d.sip_control_app = Some(foreign)).await;
        assert!(matches!(pointed, Err(StoreError::NotFound("SIPControlApp"))));
        let kept = store.domains().update(ada.uuid, home, None, |d| d.domain = "x".into()).await.unwrap();
        assert_eq!(kept.domain, "home.sip.localhost");
    }

    async fn trunks_keep_their_password_sealed(world: &World) {
        let store = &world.store;
        let trunks = store.connections();
        let (ada, user) = tenant(store, "ada", 0).await;
        let mut new = NewConnection::new("office");
        new.ip = Some("192.0.2.1".into());
        new.password = Some("secret".into());
        new.codecs = vec!["PCMA".into()];
        let trunk = trunks.create(ada.uuid, Some(user.uuid), new).await.unwrap();
        assert!((100_000..=999_999).contains(&trunk.tech_prefix));
        assert_eq!(trunks.by_ip("192.0.2.1").await.unwrap(), std::slice::from_ref(&trunk));
        assert_eq!(trunks.password(&trunk).unwrap().as_deref(), Some("secret"));

        let kept = trunks.update(ada.uuid, trunk.uuid, None, None, |t| t.tech_prefix = 1).await.unwrap();
        assert_eq!(kept.tech_prefix, trunk.tech_prefix);
        assert_eq!(trunks.password(&kept).unwrap().as_deref(), Some("secret"));
        let open = trunks.update(ada.uuid, trunk.uuid, None, Some(None), |t| t.is_active = false).await.unwrap();
        assert_eq!(trunks.password(&open).unwrap(), None);
        assert_eq!(trunks.by_ip("192.0.2.1").await.unwrap(), []);
    }

    async fn an_unknown_product_is_no_product(world: &World) {
        let (ada, _) = tenant(&world.store, "ada", 0).await;
        let mut new = NewApp::new("desk");
        new.product = 7;
        let app = world.store.apps().create(ada.uuid, None, new).await;
        assert!(matches!(app, Err(StoreError::NotFound("SIPProduct"))));
    }
}
