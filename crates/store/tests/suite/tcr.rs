use std::time::Duration;

use opentact_store::StoreError;
use opentact_store::numbers::{LeaseFilter, NewLease};
use opentact_store::tcr::{BrandDetails, CampaignDetails};
use opentact_store::types::{BrandEntity, Feature, TnKind, Usecase, Vertical, Vetting, now};
use opentact_store::{Search, Tn};

use crate::world::{on_both, tenant};

fn brand() -> BrandDetails {
    BrandDetails {
        entity_type: BrandEntity::PrivateProfit,
        display_name: "Engines".into(),
        company_name: Some("Analytical Engines Inc".into()),
        first_name: None,
        last_name: None,
        ein: Some("123456789".into()),
        ein_issuing_country: None,
        phone: "+12065550100".into(),
        email: "ada@example.com".into(),
        street: None,
        city: None,
        state: None,
        postal_code: None,
        country: "US".into(),
        website: None,
        vertical: Vertical::Technology,
        stock_symbol: None,
        stock_exchange: None,
        reference_id: None,
    }
}

fn campaign() -> CampaignDetails {
    serde_json::from_value(serde_json::json!({
        "usecase": "MIXED", "subUsecases": ["2FA", "CUSTOMER_CARE"], "description": "codes", "messageFlow": "they ask",
        "sample1": "Your code is 1234", "embeddedLink": true,
    }))
    .unwrap()
}

on_both! {
    async fn a_vetting_is_due_until_it_is_decided(world: &World) {
        let (ada, user) = tenant(&world.store, "ada", 0).await;
        let (bob, _) = tenant(&world.store, "bob", 0).await;
        let brands = world.store.brands();
        let made = brands.create(ada.uuid, Some(user.uuid), brand()).await.unwrap();
        assert_eq!(brands.get(ada.uuid, made.uuid).await.unwrap(), made);
        assert!(matches!(brands.get(bob.uuid, made.uuid).await, Err(StoreError::NotFound("Brand"))));
        assert!(world.store.belongs_to_another(bob.uuid, "Brand", made.uuid).await.unwrap());
        // Who made it files it; had it died, it would be due later.
        assert_eq!(brands.due(now(), 10).await.unwrap(), []);
        assert_eq!(brands.next_look().await.unwrap(), made.look_on);
        let filed = brands.settle(&made, |row| {
            (row.registry_id, row.filed_on, row.look_on) = (Some("B1".into()), Some(now()), Some(now()));
        });
        let filed = filed.await.unwrap().unwrap();
        assert_eq!(brands.due(now(), 10).await.unwrap(), std::slice::from_ref(&filed));
        assert_eq!(brands.called(ada.uuid, "B1").await.unwrap().unwrap().uuid, made.uuid);
        assert_eq!(brands.called(bob.uuid, "B1").await.unwrap(), None);
        // Of two that ask the registry one writes.
        let approve = |row: &mut opentact_store::tcr::Brand| (row.status, row.look_on) = (Vetting::Approved, None);
        assert_eq!(brands.settle(&filed, approve).await.unwrap().unwrap().status, Vetting::Approved);
        assert_eq!(brands.settle(&filed, approve).await.unwrap(), None);
        assert_eq!(brands.next_look().await.unwrap(), None);
        // What reads otherwise is vetted anew, and stays what it was until then.
        let changed = BrandDetails { website: Some("https://engines.example".into()), ..brand() };
        let changed = brands.update(ada.uuid, made.uuid, None, changed).await.unwrap();
        assert_eq!((changed.status, changed.filed_on), (Vetting::Approved, None));
        assert!(changed.look_on.is_some());
        let reject = |row: &mut opentact_store::tcr::Brand| row.status = Vetting::Rejected;
        brands.settle(&changed, reject).await.unwrap().unwrap();
        assert_eq!(brands.update(ada.uuid, made.uuid, None, brand()).await.unwrap().status, Vetting::Pending);
        brands.delete(ada.uuid, made.uuid).await.unwrap();
        assert_eq!(brands.list(ada.uuid).await.unwrap(), []);
    }

    async fn what_is_in_use_stays(world: &World) {
        let (ada, _) = tenant(&world.store, "ada", 100).await;
        let (bob, _) = tenant(&world.store, "bob", 100).await;
        let (brands, campaigns, numbers) = (world.store.brands(), world.store.campaigns(), world.store.numbers());
        let ours = brands.create(ada.uuid, None, brand()).await.unwrap();
        let theirs = campaigns.create(bob.uuid, None, ours.uuid, campaign()).await;
        assert!(matches!(theirs, Err(StoreError::NotFound("Brand"))));
        let made = campaigns.create(ada.uuid, None, ours.uuid, campaign()).await.unwrap();
        assert_eq!(made.details.sub_usecases, [Usecase::TwoFactor, Usecase::CustomerCare]);
        assert_eq!(campaigns.get(ada.uuid, made.uuid).await.unwrap(), made);
        let another = BrandDetails { ein: Some("987654321".into()), ..brand() };
        assert!(matches!(brands.update(ada.uuid, ours.uuid, None, another).await, Err(StoreError::InUse { .. })));
        let moved = BrandDetails { city: Some("Hoboken".into()), ..brand() };
        brands.update(ada.uuid, ours.uuid, None, moved).await.unwrap();
        assert!(matches!(brands.delete(ada.uuid, ours.uuid).await, Err(StoreError::InUse { .. })));

        let profile = numbers.profile_for(TnKind::LongCode, "US").await.unwrap().uuid;
        let lease = |tn: u64| NewLease {
            tn: Tn::new(tn).unwrap(),
            kind: TnKind::LongCode,
            country: "US".into(),
            state: None,
            city: None,
            rate_center: None,
            features: vec![Feature::Sms],
            carrier: "dev".into(),
            profile,
            order: None,
            subscriptions: vec![Feature::Sms],
            autorenew: true,
            expired_on: now() + Duration::from_secs(86_400),
            created_by: None,
        };
        let (held, _) = numbers.lease(ada.uuid, lease(12_015_550_100), |_| vec![]).await.unwrap();
        let (other, _) = numbers.lease(bob.uuid, lease(12_015_550_101), |_| vec![]).await.unwrap();
        let stolen = numbers.update_lease(bob.uuid, other.uuid, None, |lease| lease.sms_campaign = Some(made.uuid)).await;
        assert!(matches!(stolen, Err(StoreError::NotFound("Campaign"))));
        numbers.update_lease(ada.uuid, held.uuid, None, |lease| lease.sms_campaign = Some(made.uuid)).await.unwrap();
        let filter = LeaseFilter { sms_campaign: Some(made.uuid), ..LeaseFilter::default() };
        assert_eq!(numbers.search_leases(ada.uuid, filter, Search::first(10)).await.unwrap().total, Some(1));
        assert!(matches!(campaigns.delete(ada.uuid, made.uuid).await, Err(StoreError::InUse { .. })));
        // A number that is given back sends for nobody.
        assert_eq!(numbers.release(ada.uuid, held.uuid, Duration::ZERO).await.unwrap().sms_campaign, None);
        campaigns.delete(ada.uuid, made.uuid).await.unwrap();
        brands.delete(ada.uuid, ours.uuid).await.unwrap();
    }
}
