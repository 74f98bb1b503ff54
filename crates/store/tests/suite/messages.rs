use std::time::Duration;

use opentact_store::search::{Mode, Sort};
use opentact_store::sms::{NewSms, SmsFilter};
use opentact_store::transactions::NewTransaction;
use opentact_store::types::{RefType, SmsState, SmsType, now};
use opentact_store::{Money, Search, StoreError, Tn};

use crate::world::{on_both, tenant};

fn message(to: &str, text: &str) -> NewSms {
    NewSms {
        kind: SmsType::Outbound,
        from: "12015550100".into(),
        to: to.into(),
        tn: Tn::new(12015550100).unwrap(),
        tn_lease: None,
        messaging_profile: None,
        thread: "0".repeat(32),
        message: text.into(),
        automated: false,
        reference_id: None,
        segments: 1,
        encoding: "gsm".into(),
        custom_callback_url: None,
        created_by: None,
    }
}

const MINUTE: Duration = Duration::from_secs(60);

on_both! {
    async fn a_message_goes_through_the_queue_once(world: &World) {
        let sms = world.store.sms();
        let (ada, _) = tenant(&world.store, "ada", 1).await;
        let a = ada.uuid;
        let queued = sms.enqueue(a, vec![message("12025550199", "one"), message("12025550199", "two")], now() + MINUTE);
        let queued = queued.await.unwrap();
        assert_eq!(sms.queue_length().await.unwrap(), 2);

        let claimed = sms.claim(10, MINUTE).await.unwrap();
        assert_eq!(claimed.len(), 2);
        assert!(claimed.iter().all(|(_, q)| q.attempts == 1));
        assert_eq!(sms.claim(10, MINUTE).await.unwrap(), [], "another worker sees nothing");

        let (one, two) = (queued[0].uuid, queued[1].uuid);
        assert_eq!(sms.sending(a, one).await.unwrap().state, SmsState::Sending);
        let price = NewTransaction::charge("0.0075".parse().unwrap(), RefType::SmsOutgoing, one, "SMS");
        let (sent, booked) = sms.accepted(a, one, "ref-1", Some(price)).await.unwrap();
        assert_eq!(sent.state, SmsState::Success);
        assert_eq!(booked.unwrap().account_balance_after.to_string(), "0.9925");
        assert_eq!(sms.failed(a, two, "Queuing Timeout").await.unwrap().reason.as_deref(), Some("Queuing Timeout"));
        assert_eq!((sms.queue_length().await.unwrap(), sms.next_due().await.unwrap()), (0, None));

        let receipt_for = sms.by_reference("ref-1").await.unwrap().unwrap();
        let delivered = sms.change(a, receipt_for.uuid, |m| m.delivered = true).await.unwrap();
        assert_eq!(sms.get(a, one).await.unwrap(), delivered);
        assert_eq!(sms.by_reference("ref-2").await.unwrap(), None);
    }

    async fn a_message_that_is_put_back_or_left_by_its_worker_comes_again(world: &World) {
        let sms = world.store.sms();
        let (ada, _) = tenant(&world.store, "ada", 1).await;
        let one = sms.enqueue(ada.uuid, vec![message("12025550199", "one")], now() + MINUTE).await.unwrap()[0].uuid;
        sms.claim(1, MINUTE).await.unwrap();
        let later = now() + MINUTE;
        sms.retry(one, later).await.unwrap();
        assert_eq!(sms.claim(1, MINUTE).await.unwrap(), [], "not due");
        assert_eq!(sms.next_due().await.unwrap(), Some(later));
        sms.retry(one, now()).await.unwrap();
        assert_eq!(sms.claim(1, Duration::ZERO).await.unwrap()[0].1.attempts, 2);
        assert_eq!(sms.claim(1, MINUTE).await.unwrap()[0].1.attempts, 3, "the lease has ended");
        sms.unclaim_all().await.unwrap();
        assert_eq!(sms.claim(1, MINUTE).await.unwrap().len(), 1);
    }

    async fn no_two_workers_get_one_message(world: &World) {
        let (ada, _) = tenant(&world.store, "ada", 1).await;
        let new = (0..40).map(|n| message("12025550199", &n.to_string())).collect();
        world.store.sms().enqueue(ada.uuid, new, now() + MINUTE).await.unwrap();
        let workers = (0..8).map(|_| {
            let store = world.store.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let claimed = store.sms().claim(3, MINUTE).await.unwrap();
                    if claimed.is_empty() {
                        return mine;
                    }
                    mine.extend(claimed.into_iter().map(|(m, _)| m.uuid));
                }
            })
        });
        let mut all: Vec<_> =
            futures_util::future::join_all(workers).await.into_iter().flat_map(Result::unwrap).collect();
        // A worker may find the rest locked and stop; what it left is there still.
        all.extend(world.store.sms().claim(40, MINUTE).await.unwrap().into_iter().map(|(m, _)| m.uuid));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!((all.len(), count), (40, 40));
    }

    async fn a_charge_beyond_the_balance_leaves_the_message_queued(world: &World) {
        let sms = world.store.sms();
        let (ada, _) = tenant(&world.store, "ada", 1).await;
        let one = sms.enqueue(ada.uuid, vec![message("12025550199", "one")], now() + MINUTE).await.unwrap()[0].uuid;
        assert!(sms.can_pay(ada.uuid, Money::units(1)).await.unwrap());
        let price = NewTransaction::charge(Money::units(2), RefType::SmsOutgoing, one, "SMS");
        let refused = sms.accepted(ada.uuid, one, "ref", Some(price)).await;
        assert!(matches!(refused, Err(StoreError::InsufficientBalance)));
        assert_eq!(sms.get(ada.uuid, one).await.unwrap().state, SmsState::Created);
        assert_eq!(sms.queue_length().await.unwrap(), 1);
    }

    async fn the_log_is_searched(world: &World) {
        let sms = world.store.sms();
        let (ada, _) = tenant(&world.store, "ada", 1).await;
        let (bob, _) = tenant(&world.store, "bob", 1).await;
        for n in 0..25 {
            let text = if n % 5 == 0 { format!("Discount 10_{n}") } else { format!("hello {n}") };
            sms.create(ada.uuid, message(&format!("120255501{n:02}"), &text)).await.unwrap();
        }
        sms.create(bob.uuid, message("12025550199", "Discount")).await.unwrap();
        let texts = async |filter: SmsFilter, search: Search| {
            let found = sms.search(ada.uuid, filter, search).await.unwrap();
            (found.total, found.data.into_iter().map(|m| m.message).collect::<Vec<_>>())
        };
        let by_to = || {
            let mut search = Search::first(3);
            search.order = vec![("to".into(), Sort::Asc)];
            search
        };
        let text = |m: &str| SmsFilter { message: Some(m.into()), ..Default::default() };
        let (total, first) = texts(text("discount*"), by_to()).await;
        assert_eq!((total, first), (Some(5), vec!["Discount 10_0".into(), "Discount 10_5".into(), "Discount 10_10".into()]));
        assert_eq!(texts(text("%1__*"), by_to()).await.0, Some(0), "an underscore is itself");
        assert_eq!(texts(text("%10_2%"), by_to()).await.0, Some(1));
        assert_eq!(texts(text("hello 1"), by_to()).await.1, ["hello 1"]);
        assert_eq!(texts(SmsFilter { to: Some("+1202555010*".into()), ..Default::default() }, by_to()).await.0, Some(10));

        let either = SmsFilter { to: Some("12025550101".into()), ..text("hello 2") };
        let mut search = by_to();
        assert_eq!(texts(either.clone(), search.clone()).await.0, Some(0));
        search.mode = Mode::Or;
        assert_eq!(texts(either.clone(), search.clone()).await.1, ["hello 1", "hello 2"]);
        search.created_on_to = Some(now() - MINUTE);
        assert_eq!(texts(either, search).await.0, Some(0), "dates narrow in either mode");
        let inbound = SmsFilter { kinds: vec![SmsType::Inbound], ..Default::default() };
        assert_eq!(texts(inbound, Search::default()).await.0, Some(0));
    }

    async fn pages_and_cursors_cover_everything_once(world: &World) {
        let sms = world.store.sms();
        let (ada, _) = tenant(&world.store, "ada", 1).await;
        for n in 0..25 {
            sms.create(ada.uuid, message("12025550199", &n.to_string())).await.unwrap();
        }
        let mut paged = Vec::new();
        for skip in [0, 10, 20] {
            let search = Search { skip, ..Search::default() };
            paged.extend(sms.search(ada.uuid, SmsFilter::default(), search).await.unwrap().data);
        }
        assert_eq!(paged.len(), 25);
        assert!(paged.windows(2).all(|w| w[0].created_on >= w[1].created_on), "newest first");

        let mut walked = Vec::new();
        let mut cursor = None;
        loop {
            let search = Search { cursor, count: false, ..Search::default() };
            let found = sms.search(ada.uuid, SmsFilter::default(), search).await.unwrap();
            assert_eq!(found.total, None);
            walked.extend(found.data);
            // The log grows meanwhile.
            sms.create(ada.uuid, message("12025550199", "newer")).await.unwrap();
            cursor = found.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(walked, paged);

        let wrong = |search: Search| sms.search(ada.uuid, SmsFilter::default(), search);
        for search in [
            Search { take: 0, ..Search::default() },
            Search { take: 101, ..Search::default() },
            Search { order: vec![("account".into(), Sort::Asc)], ..Search::default() },
            Search { cursor: Some("?".into()), ..Search::default() },
        ] {
            assert!(matches!(wrong(search).await, Err(StoreError::Invalid { .. })));
        }
    }
}
