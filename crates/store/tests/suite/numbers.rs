use std::time::Duration;

use opentact_store::apps::NewApp;
use opentact_store::connections::NewConnection;
use opentact_store::domains::NewDomain;
use opentact_store::lerg::LergBlock;
use opentact_store::messaging_profiles::NewMessagingProfile;
use opentact_store::numbers::{LeaseFilter, NewLease, NewOrder, OrderFilter, OrderItem, Prices, TnLease};
use opentact_store::sip_users::NewSipUser;
use opentact_store::transactions::NewTransaction;
use opentact_store::types::{Feature, OrderState, RefType, TnKind, now};
use opentact_store::voice_profiles::NewVoiceProfile;
use opentact_store::{Money, Search, Store, StoreError, Tn};
use serde_json::json;
use uuid::Uuid;

use crate::world::{on_both, tenant};

fn tn(n: u64) -> Tn {
    Tn::new(12015550000 + n).unwrap()
}

async fn offer(store: &Store, tn: Tn) -> NewLease {
    NewLease {
        tn,
        kind: TnKind::LongCode,
        country: "US".into(),
        state: Some("NJ".into()),
        city: Some("Hoboken".into()),
        rate_center: None,
        features: vec![Feature::Voice, Feature::Sms],
        carrier: "dev".into(),
        profile: store.numbers().profile_for(TnKind::LongCode, "US").await.unwrap().uuid,
        order: None,
        subscriptions: vec![Feature::Voice],
        autorenew: false,
        expired_on: now() + Duration::from_secs(30 * 86_400),
        created_by: None,
    }
}

fn one_dollar(lease: Uuid) -> Vec<NewTransaction> {
    vec![NewTransaction::charge(Money::units(1), RefType::TnLeaseNrc, lease, "number")]
}

async fn leased(store: &Store, account: Uuid, tn: Tn) -> TnLease {
    store.numbers().lease(account, offer(store, tn).await, |_| vec![]).await.unwrap().0
}

async fn lease_all(store: Store, account: Uuid, tns: Vec<u64>) -> Result<Vec<TnLease>, StoreError> {
    let mut wanted = Vec::new();
    for number in tns {
        wanted.push(offer(&store, tn(number)).await);
    }
    store.numbers().lease_all(account, wanted, None).await
}

on_both! {
    async fn blocks_of_the_lerg_are_found_by_number(world: &World) {
        let lerg = world.store.lerg();
        let block = |block: &str, rate_center: &str| LergBlock {
            block: block.to_owned(),
            country: "US".to_owned(),
            state: "NJ".to_owned(),
            rate_center: rate_center.to_owned(),
            lata: Some("224".to_owned()),
            ocn: None,
            carrier: None,
            county: Some("HUDSON".to_owned()),
        };
        assert!(!lerg.is_known().await.unwrap());
        lerg.save(vec![block("201555A", "old"), block("201555A", "all"), block("2015551", "one")]).await.unwrap();
        lerg.save(vec![block("2015551", "first")]).await.unwrap();
        let center = async |tn: u64| {
            let found = lerg.find(tn.try_into().unwrap()).await.unwrap();
            found.map(|block| block.rate_center)
        };
        assert!(lerg.is_known().await.unwrap());
        assert_eq!(center(12_015_551_234).await.as_deref(), Some("first"));
        assert_eq!(center(12_015_552_234).await.as_deref(), Some("all"));
        assert_eq!(center(12_015_561_234).await, None);
        assert_eq!(center(442_015_551_234).await, None);
        assert_eq!(lerg.rate_centers("NJ").await.unwrap(), ["all", "first"]);
        assert_eq!(lerg.states("US").await.unwrap(), ["NJ"]);
    }

    async fn of_two_orders_for_one_number_exactly_one_wins(world: &World) {
        let store = &world.store;
        let mut tenants = Vec::new();
        for n in 0..8 {
            tenants.push(tenant(store, &format!("tenant{n}"), 5).await.0.uuid);
        }
        let attempts = tenants.iter().map(|account| {
            let (store, account) = (store.clone(), *account);
            tokio::spawn(async move {
                let offer = offer(&store, tn(100)).await;
                store.numbers().lease(account, offer, one_dollar).await
            })
        });
        let outcomes = futures_util::future::join_all(attempts).await;
        let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
        assert_eq!(outcomes.iter().filter(|o| o.is_ok()).count(), 1);
        assert!(outcomes.iter().filter_map(|o| o.as_ref().err()).all(|e| matches!(e, StoreError::Conflict("TN"))));
        // Only the winner has paid.
        let mut balances = Vec::new();
        for account in tenants {
            balances.push(store.accounts().get(account).await.unwrap().balance);
        }
        balances.sort();
        assert_eq!(balances[0], Money::units(4));
        assert!(balances[1..].iter().all(|b| *b == Money::units(5)));
    }

    async fn of_two_who_want_the_same_numbers_one_gets_all_and_one_none(world: &World) {
        let store = &world.store;
        let (ada, bob) = (tenant(store, "ada", 0).await.0.uuid, tenant(store, "bob", 0).await.0.uuid);
        let numbers = store.numbers();
        for round in 0..8 {
            let tns: Vec<u64> = (10 * round..10 * round + 5).collect();
            let reversed = tns.iter().rev().copied().collect();
            let (first, second) = tokio::join!(
                tokio::spawn(lease_all(store.clone(), ada, tns)),
                tokio::spawn(lease_all(store.clone(), bob, reversed))
            );
            let (won, lost, loser) = match (first.unwrap(), second.unwrap()) {
                (Ok(won), Err(lost)) => (won, lost, bob),
                (Err(lost), Ok(won)) => (won, lost, ada),
                both => panic!("{both:?}"),
            };
            assert!(matches!(lost, StoreError::Conflict("TN")), "{lost:?}");
            let has: Vec<_> = (10 * round..10 * round + 5).map(tn).collect();
            assert_eq!(won.iter().map(|lease| lease.tn).collect::<Vec<_>>(), has);
            assert!(numbers.leases(loser).await.unwrap().iter().all(|lease| !has.contains(&lease.tn)));
        }
        // The one that is taken comes last.
        leased(store, bob, tn(102)).await;
        let before = numbers.leases(ada).await.unwrap();
        let refused = lease_all(store.clone(), ada, vec![100, 101, 102]).await;
        assert!(matches!(refused, Err(StoreError::Conflict("TN"))), "{refused:?}");
        assert_eq!(numbers.leases(ada).await.unwrap(), before);
        let of_bob = NewMessagingProfile::new("texts");
        let of_bob = store.messaging_profiles().create(bob, None, of_bob).await.unwrap();
        let wanted = vec![offer(store, tn(100)).await];
        let foreign = numbers.lease_all(ada, wanted.clone(), Some(of_bob.uuid)).await;
        assert!(matches!(foreign, Err(StoreError::NotFound(_))), "{foreign:?}");
        let bound = numbers.lease_all(bob, wanted, Some(of_bob.uuid)).await.unwrap();
        assert_eq!(bound[0].messaging_profile, Some(of_bob.uuid));
    }

    async fn special_prices_are_of_one_account_and_end(world: &World) {
        let (ada, bob) = (tenant(&world.store, "ada", 0).await.0.uuid, tenant(&world.store, "bob", 0).await.0.uuid);
        let numbers = world.store.numbers();
        let profile = numbers.profile_for(TnKind::LongCode, "US").await.unwrap();
        let other = numbers.profile_for(TnKind::TollFree, "US").await.unwrap();
        let special = |units| Prices { mrc: Money::units(units), ..*profile.prices };
        let paid = async |account| numbers.prices_for(account, profile.uuid).await.unwrap();
        numbers.set_special_price(ada, profile.uuid, special(3), None).await.unwrap();
        let tomorrow = now() + Duration::from_secs(86_400);
        let set = numbers.set_special_price(ada, profile.uuid, special(7), Some(tomorrow)).await.unwrap();
        assert_eq!((paid(ada).await, paid(bob).await), (special(7), *profile.prices));
        assert_eq!(numbers.prices_for(ada, other.uuid).await.unwrap(), *other.prices);
        assert!(matches!(numbers.prices_for(ada, Uuid::new_v4()).await, Err(StoreError::NotFound("TNProfile"))));
        let of_ada = numbers.special_prices(ada).await.unwrap();
        assert_eq!(of_ada.iter().map(|(_, price)| price).collect::<Vec<_>>(), [&set]);
        assert_eq!((of_ada[0].0.uuid, &of_ada[0].0.prices), (profile.uuid, &set.prices));
        let priced = numbers.profiles_for(ada).await.unwrap();
        let priced: Vec<_> = priced.iter().map(|one| (one.uuid, *one.prices)).collect();
        assert!(priced.contains(&(profile.uuid, special(7))) && priced.contains(&(other.uuid, *other.prices)));

        numbers.set_special_price(ada, profile.uuid, special(7), Some(now())).await.unwrap();
        assert_eq!(paid(ada).await, *profile.prices);
        assert!(numbers.special_prices(ada).await.unwrap().is_empty());
        assert_eq!(numbers.profiles_for(ada).await.unwrap(), numbers.profiles().await.unwrap());
        numbers.set_special_price(bob, profile.uuid, special(7), Some(tomorrow)).await.unwrap();
        numbers.set_special_price(bob, other.uuid, special(7), None).await.unwrap();
        assert_eq!(numbers.purge_special_prices().await.unwrap(), 1);
        assert_eq!(numbers.special_prices(bob).await.unwrap().len(), 2);
        assert!(numbers.remove_special_price(bob, profile.uuid).await.unwrap());
        assert!(!numbers.remove_special_price(bob, profile.uuid).await.unwrap());
        assert!(!numbers.remove_special_price(ada, profile.uuid).await.unwrap());
    }

    async fn a_lease_that_cannot_be_paid_is_not_made(world: &World) {
        let store = &world.store;
        let (poor, _) = tenant(store, "poor", 0).await;
        let refused = store.numbers().lease(poor.uuid, offer(store, tn(1)).await, one_dollar).await;
        assert!(matches!(refused, Err(StoreError::InsufficientBalance)));
        assert_eq!(store.numbers().active_lease(tn(1)).await.unwrap(), None);
        assert_eq!(store.numbers().taken().await.unwrap(), []);
    }

    async fn a_released_number_rests_and_is_forgotten_by_all(world: &World) {
        let store = &world.store;
        let numbers = store.numbers();
        let (ada, _) = tenant(store, "ada", 5).await;
        let (bob, _) = tenant(store, "bob", 5).await;
        let app = store.apps().create(ada.uuid, None, NewApp::new("desk")).await.unwrap();
        let lease = leased(store, ada.uuid, tn(1)).await;
        numbers.update_lease(ada.uuid, lease.uuid, None, |l| l.sip_control_app = Some(app.uuid)).await.unwrap();
        let mut profile = NewVoiceProfile::new("out");
        profile.tn_lease = Some(lease.uuid);
        let profile = store.voice_profiles().create(ada.uuid, None, profile).await.unwrap();

        assert!(matches!(numbers.release(bob.uuid, lease.uuid, Duration::ZERO).await, Err(StoreError::NotFound(_))));
        numbers.release(ada.uuid, lease.uuid, Duration::from_secs(86_400)).await.unwrap();
        assert!(matches!(numbers.get_lease(ada.uuid, lease.uuid).await, Err(StoreError::NotFound("TNLease"))));
        assert!(matches!(numbers.release(ada.uuid, lease.uuid, Duration::ZERO).await, Err(StoreError::NotFound(_))));
        assert_eq!(store.voice_profiles().get(ada.uuid, profile.uuid).await.unwrap().tn_lease, None);
        store.apps().delete(ada.uuid, app.uuid).await.unwrap();
        assert_eq!(numbers.taken().await.unwrap(), [tn(1)], "in quarantine");
        let resting = numbers.lease(bob.uuid, offer(store, tn(1)).await, |_| vec![]).await;
        assert!(matches!(resting, Err(StoreError::Conflict("TN"))));

        let lease = leased(store, ada.uuid, tn(2)).await;
        numbers.release(ada.uuid, lease.uuid, Duration::ZERO).await.unwrap();
        assert_eq!(leased(store, bob.uuid, tn(2)).await.account, bob.uuid);
    }

    async fn a_revoked_lease_is_paid_back(world: &World) {
        let store = &world.store;
        let (ada, _) = tenant(store, "ada", 5).await;
        let (lease, booked) = store.numbers().lease(ada.uuid, offer(store, tn(1)).await, one_dollar).await.unwrap();
        assert_eq!(booked[0].ref_uuid, Some(lease.uuid));
        store.numbers().revoke(ada.uuid, lease.uuid, &booked).await.unwrap();
        assert_eq!(store.accounts().get(ada.uuid).await.unwrap().balance, Money::units(5));
        assert_eq!(store.numbers().taken().await.unwrap(), []);
    }

    async fn a_number_has_one_voice_target(world: &World) {
        let store = &world.store;
        let numbers = store.numbers();
        let (ada, _) = tenant(store, "ada", 5).await;
        let (bob, _) = tenant(store, "bob", 5).await;
        let app = store.apps().create(ada.uuid, None, NewApp::new("desk")).await.unwrap().uuid;
        let trunk = store.connections().create(ada.uuid, None, NewConnection::new("office")).await.unwrap().uuid;
        let foreign = store.apps().create(bob.uuid, None, NewApp::new("desk")).await.unwrap().uuid;
        let lease = leased(store, ada.uuid, tn(1)).await.uuid;

        let with_app = numbers.update_lease(ada.uuid, lease, None, |l| l.sip_control_app = Some(app)).await.unwrap();
        assert_eq!(with_app.sip_control_app, Some(app));
        let moved = numbers.update_lease(ada.uuid, lease, None, |l| l.sip_connection = Some(trunk)).await.unwrap();
        assert_eq!((moved.sip_connection, moved.sip_control_app), (Some(trunk), None), "the new one wins");
        assert_eq!(numbers.get_lease(ada.uuid, lease).await.unwrap(), moved);
        let both = numbers.update_lease(ada.uuid, lease, None, |l| {
            l.sip_control_app = Some(app);
            l.sip_user = Some(app);
        });
        assert!(matches!(both.await, Err(StoreError::Invalid { .. })));
        let theirs = numbers.update_lease(ada.uuid, lease, None, |l| l.sip_control_app = Some(foreign)).await;
        assert!(matches!(theirs, Err(StoreError::NotFound("SIPControlApp"))));
        let renamed = numbers.update_lease(ada.uuid, lease, None, |l| l.account = bob.uuid).await.unwrap();
        assert_eq!(renamed.account, ada.uuid, "a lease does not change hands");
    }

    async fn nothing_goes_that_is_pointed_at(world: &World) {
        let store = &world.store;
        let (ada, _) = tenant(store, "ada", 5).await;
        let a = ada.uuid;
        let app = store.apps().create(a, None, NewApp::new("desk")).await.unwrap().uuid;
        let trunk = store.connections().create(a, None, NewConnection::new("office")).await.unwrap().uuid;
        let profile = store.voice_profiles().create(a, None, NewVoiceProfile::new("out")).await.unwrap().uuid;
        let messaging = store.messaging_profiles().create(a, None, NewMessagingProfile::new("m")).await.unwrap().uuid;
        let domain = NewDomain {
            domain: "Home.sip.localhost".into(),
            sip_connection: Some(trunk),
            sip_control_app: Some(app),
            outbound_voice_profile: Some(profile),
        };
        let domain = store.domains().create(a, None, domain).await.unwrap();
        assert_eq!(domain.domain, "home.sip.localhost");
        let phone = NewSipUser { login: "phone".into(), password: "secret".into(), ..Default::default() };
        let phone = store.sip_users().create(a, None, domain.uuid, phone).await.unwrap().uuid;
        let lease = leased(store, a, tn(1)).await.uuid;
        let pointing = |l: &mut TnLease| {
            l.sip_user = Some(phone);
            l.messaging_profile = Some(messaging);
        };
        store.numbers().update_lease(a, lease, None, pointing).await.unwrap();

        let by = |entity, by| move |error: &StoreError| matches!(error, StoreError::InUse { entity: e, by: b } if (*e, *b) == (entity, by));
        let refused = |result: Result<(), StoreError>, by: &dyn Fn(&StoreError) -> bool| {
            let error = result.unwrap_err();
            assert!(by(&error), "{error}");
        };
        refused(store.apps().delete(a, app).await, &by("SIPControlApp", "SIPDomain"));
        refused(store.connections().delete(a, trunk).await, &by("SIPConnection", "SIPDomain"));
        refused(store.voice_profiles().delete(a, profile).await, &by("OutboundVoiceProfile", "SIPDomain"));
        refused(store.domains().delete(a, domain.uuid).await, &by("SIPDomain", "SIPUser"));
        refused(store.sip_users().delete(a, phone).await, &by("SIPUser", "TNLease"));
        refused(store.messaging_profiles().delete(a, messaging).await, &by("MessagingProfile", "TNLease"));

        store.numbers().release(a, lease, Duration::ZERO).await.unwrap();
        store.sip_users().delete(a, phone).await.unwrap();
        store.domains().delete(a, domain.uuid).await.unwrap();
        for result in [
            store.apps().delete(a, app).await,
            store.connections().delete(a, trunk).await,
            store.voice_profiles().delete(a, profile).await,
            store.messaging_profiles().delete(a, messaging).await,
        ] {
            result.unwrap();
        }
        assert!(matches!(store.apps().delete(a, app).await, Err(StoreError::NotFound("SIPControlApp"))));
    }

    async fn leases_are_searched_by_mask_target_and_feature(world: &World) {
        let store = &world.store;
        let numbers = store.numbers();
        let (ada, _) = tenant(store, "ada", 5).await;
        let (bob, _) = tenant(store, "bob", 5).await;
        let trunk = store.connections().create(ada.uuid, None, NewConnection::new("office")).await.unwrap().uuid;
        for n in [100, 101, 111] {
            leased(store, ada.uuid, tn(n)).await;
        }
        leased(store, bob.uuid, tn(102)).await;
        let first = numbers.get_lease_by_tn(ada.uuid, tn(100)).await.unwrap();
        let change = |l: &mut TnLease| {
            l.sip_connection = Some(trunk);
            l.subscriptions.push(Feature::Sms);
        };
        numbers.update_lease(ada.uuid, first.uuid, None, change).await.unwrap();
        assert!(matches!(numbers.get_lease_by_tn(ada.uuid, tn(102)).await, Err(StoreError::NotFound(_))));

        let found = async |filter: LeaseFilter| {
            let mut search = Search::first(100);
            search.order = vec![("tn".into(), opentact_store::search::Sort::Asc)];
            let found = numbers.search_leases(ada.uuid, filter, search).await.unwrap();
            found.data.iter().map(|l| l.tn.get() - 12015550000).collect::<Vec<_>>()
        };
        let mask = |m: &str| LeaseFilter { tn: Some(m.into()), ..Default::default() };
        assert_eq!(found(LeaseFilter::default()).await, [100, 101, 111]);
        assert_eq!(found(mask("+1201555010*")).await, [100, 101]);
        assert_eq!(found(mask("%11")).await, [111]);
        assert_eq!(found(mask("12015550101")).await, [101]);
        assert_eq!(found(LeaseFilter { sip_connection: Some(trunk), ..Default::default() }).await, [100]);
        assert_eq!(found(LeaseFilter { sip_connections_skip: vec![trunk], ..Default::default() }).await, [101, 111]);
        assert_eq!(found(LeaseFilter { features: vec![Feature::Sms], ..Default::default() }).await, [100]);
        assert_eq!(found(LeaseFilter { autorenew: Some(true), ..Default::default() }).await, [0; 0]);
    }

    async fn orders_keep_what_came_of_them(world: &World) {
        let store = &world.store;
        let numbers = store.numbers();
        let (ada, user) = tenant(store, "ada", 5).await;
        let item = OrderItem { tn: tn(1), features: vec![Feature::Voice], autorenew: false };
        let new = NewOrder { request: json!({"b": 1, "a": 2}), items: vec![item], created_by: Some(user.uuid) };
        let order = numbers.create_order(ada.uuid, new).await.unwrap();
        assert_eq!((order.state, order.total), (OrderState::Created, 1));
        assert_eq!(numbers.unfinished_orders().await.unwrap(), std::slice::from_ref(&order));
        let read = numbers.order(ada.uuid, order.uuid).await.unwrap();
        assert_eq!(read.request.to_string(), r#"{"b":1,"a":2}"#, "as it came, order and all");

        let mut new = offer(store, tn(1)).await;
        new.order = Some(order.uuid);
        let (lease, _) = numbers.lease(ada.uuid, new, |_| vec![]).await.unwrap();
        let done = |o: &mut opentact_store::numbers::TnOrder| (o.state, o.success) = (OrderState::Success, 1);
        numbers.update_order(ada.uuid, order.uuid, done).await.unwrap();
        assert_eq!(numbers.order_leases(ada.uuid, order.uuid).await.unwrap(), [lease]);
        assert_eq!(numbers.unfinished_orders().await.unwrap(), []);
        let filter = OrderFilter { state: Some(OrderState::Success) };
        assert_eq!(numbers.search_orders(ada.uuid, filter, Search::default()).await.unwrap().total, Some(1));
    }
}
