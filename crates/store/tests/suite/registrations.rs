use std::time::Duration;

use opentact_store::domains::NewDomain;
use opentact_store::registrations::Registration;
use opentact_store::sip_users::NewSipUser;
use opentact_store::types::now;
use opentact_store::{Json, Store};
use uuid::Uuid;

use crate::world::{on_both, tenant};

async fn user(store: &Store, account: Uuid, domain: Uuid, login: &str) -> Uuid {
    let new = NewSipUser { login: login.into(), password: "secret".into(), ..Default::default() };
    store.sip_users().create(account, None, domain, new).await.unwrap().uuid
}

fn binding(sip_user: Uuid, position: i64, seconds: u64) -> Registration {
    Registration {
        sip_user,
        position,
        aor: "phone@home.sip.localhost".into(),
        contact: format!("sip:phone@192.0.2.{position}"),
        transport: "UDP".into(),
        local: "192.0.2.200:5060".into(),
        remote: "[2001:db8::1]:5060".into(),
        q: 1000,
        since: now(),
        expires_on: now() + Duration::from_secs(seconds),
        instance: Some("<urn:uuid:1>".into()),
        reg_id: Some(i64::from(u32::MAX)),
        path: Json(vec!["<sip:p1;lr>".into()]),
        user_agent: None,
        call_id: i64::MIN,
        cseq: i64::from(u32::MAX),
    }
}

on_both! {
    async fn the_contacts_of_a_user_are_replaced_and_those_of_nobody_are_gone(world: &World) {
        let store = &world.store;
        let (ada, _) = tenant(store, "ada", 0).await;
        let new = NewDomain { domain: "home.sip.localhost".into(), ..Default::default() };
        let home = store.domains().create(ada.uuid, None, new).await.unwrap().uuid;
        let (anna, berta) = (user(store, ada.uuid, home, "anna").await, user(store, ada.uuid, home, "berta").await);
        let registrations = store.registrations();

        let (first, second) = (binding(anna, 0, 60), binding(anna, 1, 60));
        registrations.replace(&[anna], vec![first, second.clone()]).await.unwrap();
        let other = binding(berta, 0, 60);
        let moved = Registration { position: 0, ..second };
        registrations.replace(&[berta, anna], vec![moved.clone(), other.clone()]).await.unwrap();
        let mut all = vec![moved, other];
        all.sort_by_key(|row| row.sip_user);
        let mut loaded = registrations.load(now()).await.unwrap();
        loaded.sort_by_key(|row| row.sip_user);
        assert_eq!(loaded, all);

        store.sip_users().delete(ada.uuid, anna).await.unwrap();
        let loaded = registrations.load(now()).await.unwrap();
        assert_eq!(loaded.iter().map(|row| row.sip_user).collect::<Vec<_>>(), [berta]);
        registrations.replace(&[berta], vec![binding(berta, 0, 0)]).await.unwrap();
        assert_eq!(registrations.load(now()).await.unwrap(), []);

        // More than one statement may hold.
        let many: Vec<_> = (0..1_201).map(|n| binding(berta, n, 60)).collect();
        registrations.replace(&[berta], many).await.unwrap();
        assert_eq!(registrations.load(now()).await.unwrap().len(), 1_201);
        registrations.replace(&[berta], Vec::new()).await.unwrap();
        assert_eq!(registrations.load(now()).await.unwrap(), []);
    }
}
