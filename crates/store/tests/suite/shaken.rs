use std::time::Duration;

use opentact_store::shaken_certificates::NewShakenCertificate;
use opentact_store::types::now;
use opentact_store::{Keyring, Store, StoreError};

use crate::world::{on_both, tenant};

fn certificate(name: &str) -> NewShakenCertificate {
    NewShakenCertificate {
        name: name.to_owned(),
        is_active: true,
        shared: false,
        test: false,
        chain: "chain".to_owned(),
        key: "key".to_owned(),
        subject: "CN=x".to_owned(),
        issuer: "CN=y".to_owned(),
        serial: "01".to_owned(),
        tn_auth_list: vec![serde_json::json!({ "spc": "709J" })],
        not_before: now() - Duration::from_secs(60),
        not_after: now() + Duration::from_secs(60),
    }
}

on_both! {
    async fn the_newest_certificate_that_is_valid_signs_and_an_own_one_before_a_shared_one(world: &World) {
        let store = &world.store;
        let (ada, _) = tenant(store, "ada", 0).await;
        let (bob, _) = tenant(store, "bob", 0).await;
        let certificates = store.shaken_certificates();
        let signs = async |account| {
            store.shaken_certificates().signing(account, now()).await.unwrap().map(|certificate| certificate.name)
        };
        assert_eq!(signs(ada.uuid).await, None);
        let shared = NewShakenCertificate { shared: true, ..certificate("shared") };
        certificates.create(bob.uuid, None, shared).await.unwrap();
        assert_eq!(signs(ada.uuid).await.as_deref(), Some("shared"));
        let own = certificates.create(ada.uuid, None, certificate("own")).await.unwrap();
        let over = NewShakenCertificate { not_after: now() - Duration::from_secs(1), ..certificate("over") };
        certificates.create(ada.uuid, None, over).await.unwrap();
        let later = NewShakenCertificate { not_before: now() + Duration::from_secs(30), ..certificate("later") };
        certificates.create(ada.uuid, None, later).await.unwrap();
        assert_eq!(signs(ada.uuid).await.as_deref(), Some("own"));
        assert_eq!(signs(bob.uuid).await.as_deref(), Some("shared"));
        certificates.update(ada.uuid, own.uuid, None, |row| row.is_active = false).await.unwrap();
        assert_eq!(signs(ada.uuid).await.as_deref(), Some("shared"));
    }

    async fn a_certificate_keeps_what_was_certified_and_its_key_to_itself(world: &World) {
        let store = &world.store;
        let (ada, _) = tenant(store, "ada", 0).await;
        let (bob, _) = tenant(store, "bob", 0).await;
        let certificates = store.shaken_certificates();
        let own = certificates.create(ada.uuid, None, certificate("own")).await.unwrap();
        assert_eq!(certificates.key(&own).unwrap(), "key");
        assert!(!serde_json::to_string(&own).unwrap().contains("\"key\""));
        let changed = certificates.update(ada.uuid, own.uuid, None, |row| {
            row.name = "renamed".to_owned();
            row.chain = "another".to_owned();
            row.key.clear();
        });
        let changed = changed.await.unwrap();
        assert_eq!((changed.name.as_str(), changed.chain.as_str(), &changed.key), ("renamed", "chain", &own.key));
        assert_eq!(certificates.published(own.uuid).await.unwrap().unwrap(), changed);
        for answer in [certificates.get(bob.uuid, own.uuid).await.map(|_| ()), certificates.delete(bob.uuid, own.uuid).await] {
            assert!(matches!(answer, Err(StoreError::NotFound("ShakenCertificate"))));
        }
        let other = Store::connect(&world.settings, Keyring::ephemeral().unwrap()).await.unwrap();
        assert!(matches!(other.shaken_certificates().key(&changed), Err(StoreError::Sealed)));
        other.close().await.unwrap();
        certificates.delete(ada.uuid, own.uuid).await.unwrap();
        assert_eq!(certificates.published(own.uuid).await.unwrap(), None);
    }
}
