use std::time::Duration;

use chrono::{DateTime, Utc};
use opentact_store::messaging_profiles::NewMessagingProfile;
use opentact_store::search::{Mode, Sort};
use opentact_store::sms::{Consequences, NewReceipt, NewSms, Outcome, Settlement, SmsFilter, Waiting};
use opentact_store::sms_inbound::{NewSegment, Segment};
use opentact_store::sms_opt_outs::OptOutFilter;
use opentact_store::transactions::NewTransaction;
use opentact_store::types::{OptOutSource, Priority, RefType, SmsState, SmsType, now};
use opentact_store::{Money, Search, StoreError, Tn};
use uuid::Uuid;

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
        carrier: None,
    }
}

const MINUTE: Duration = Duration::from_secs(60);

fn waiting() -> Waiting {
    Waiting { send_at: None, expires_on: now() + MINUTE, priority: Priority::Normal }
}

fn accepted(account: Uuid, sms: Uuid, references: &[&str], price: &str) -> Settlement {
    let charge = NewTransaction::charge(price.parse().unwrap(), RefType::SmsOutgoing, sms, "SMS");
    let references = references.iter().map(|reference| (*reference).to_owned()).collect();
    let outcome = Outcome::Accepted { references, charge: Some(charge) };
    Settlement { account, sms, carrier: Some("north".into()), outcome }
}

fn settlement(account: Uuid, sms: Uuid, outcome: Outcome) -> Settlement {
    Settlement { account, sms, carrier: Some("north".into()), outcome }
}

fn later(account: Uuid, sms: Uuid, due_on: DateTime<Utc>, unanswered: i64) -> Settlement {
    settlement(account, sms, Outcome::Later { due_on, unanswered, taken: vec![None, Some("b".into())] })
}

on_both! {
    async fn a_message_goes_through_the_queue_once(world: &World) {
        let sms = world.store.sms();
        let (ada, _) = tenant(&world.store, "ada", 1).await;
        let a = ada.uuid;
        let queued = sms.enqueue(a, vec![message("12025550199", "one"), message("12025550199", "two")], waiting());
        let queued = queued.await.unwrap();
        assert_eq!(sms.queue_length().await.unwrap(), 2);

        let claimed = sms.claim(10, MINUTE).await.unwrap();
        assert_eq!(claimed.len(), 2);
        assert!(claimed.iter().all(|(m, q)| (m.state, m.attempts, q.unanswered) == (SmsState::Sending, 1, 0)));
        assert_eq!(sms.claim(10, MINUTE).await.unwrap(), [], "another worker sees nothing");

        let (one, two) = (queued[0].uuid, queued[1].uuid);
        let failed = settlement(a, two, Outcome::Failed { reason: "Queuing Timeout".into() });
        let settled = sms.settle(vec![accepted(a, one, &["ref-1"], "0.0075"), failed]).await.unwrap();
        let states: Vec<_> = settled.messages.iter().map(|m| (m.uuid, m.state)).collect();
        assert_eq!(states, [(one, SmsState::Success), (two, SmsState::Failed)]);
        assert_eq!(settled.messages[1].reason.as_deref(), Some("Queuing Timeout"));
        assert_eq!(settled.balances[&a].to_string(), "0.9925");
        assert_eq!((sms.queue_length().await.unwrap(), sms.next_due().await.unwrap()), (0, None));
        assert_eq!(sms.get(a, one).await.unwrap(), settled.messages[0]);

        let receipt = |carrier: &str, failed: Option<&str>| NewReceipt {
            carrier: carrier.into(),
            reference_id: "ref-1".into(),
            failed: failed.map(str::to_owned),
        };
        let busy = sms.receipts(vec![receipt("north", None)], move |busy| busy == one).await.unwrap();
        assert!(matches!(busy[..], [None]), "not its turn");
        // Of several at once each is of what those before it have made.
        let several = vec![receipt("south", None), receipt("north", None), receipt("north", Some("EXPIRED"))];
        let found = sms.receipts(several, |_| false).await.unwrap();
        let [None, Some(receipt), Some(again)] = &found[..] else { panic!("{found:?}") };
        assert!(receipt.changed && receipt.sms.delivered);
        assert!(!again.changed && again.sms.delivered);
        assert_eq!(sms.get(a, one).await.unwrap(), receipt.sms);
    }

    async fn a_message_in_segments_is_delivered_when_all_are(world: &World) {
        let sms = world.store.sms();
        let (ada, _) = tenant(&world.store, "ada", 1).await;
        let new = vec![message("12025550199", "one"), message("12025550199", "two")];
        let queued = sms.enqueue(ada.uuid, new, waiting()).await.unwrap();
        sms.claim(10, MINUTE).await.unwrap();
        let (one, two) = (queued[0].uuid, queued[1].uuid);
        let both = vec![accepted(ada.uuid, one, &["a", "b", "c"], "0.01"), accepted(ada.uuid, two, &["d", "e"], "0.01")];
        sms.settle(both).await.unwrap();
        let changed = async |reference: &str, failed: Option<&str>| {
            let (carrier, reference_id) = ("north".to_owned(), reference.to_owned());
            let receipt = NewReceipt { carrier, reference_id, failed: failed.map(str::to_owned) };
            sms.receipts(vec![receipt], |_| false).await.unwrap().remove(0).unwrap().changed
        };
        assert!(!changed("c", None).await);
        assert!(!changed("a", None).await);
        assert!(!changed("a", None).await, "the same again");
        assert!(changed("b", None).await);
        assert!(sms.get(ada.uuid, one).await.unwrap().delivered);

        assert!(!changed("d", None).await);
        assert!(changed("e", Some("UNDELIV")).await);
        let failed = sms.get(ada.uuid, two).await.unwrap();
        assert_eq!((failed.state, failed.reason.as_deref()), (SmsState::Failed, Some("UNDELIV")));
        assert!(!changed("d", Some("EXPIRED")).await);
    }

    async fn a_message_that_is_put_back_or_left_by_its_worker_comes_again(world: &World) {
        let sms = world.store.sms();
        let (ada, _) = tenant(&world.store, "ada", 1).await;
        let a = ada.uuid;
        let one = sms.enqueue(a, vec![message("12025550199", "one")], waiting()).await.unwrap()[0].uuid;
        sms.claim(1, MINUTE).await.unwrap();
        let due = now() + MINUTE / 2;
        let settled = sms.settle(vec![later(a, one, due, 0)]).await.unwrap();
        assert_eq!((settled.messages[0].state, settled.balances.len()), (SmsState::Created, 0));
        assert_eq!(sms.claim(1, MINUTE).await.unwrap(), [], "not due");
        assert_eq!(sms.next_due().await.unwrap(), Some(due));
        sms.settle(vec![later(a, one, now(), 0)]).await.unwrap();
        let (message, queued) = sms.claim(1, Duration::ZERO).await.unwrap().remove(0);
        assert_eq!((message.attempts, message.repeated, queued.unanswered), (2, false, 0));
        assert_eq!((queued.carrier.as_deref(), &*queued.taken), (Some("north"), &vec![None, Some("b".into())]));
        let (message, queued) = sms.claim(1, MINUTE).await.unwrap().remove(0);
        assert_eq!((message.attempts, message.repeated), (3, true), "the lease has ended: it may have left");
        assert_eq!(queued.unanswered, 1);
        sms.unclaim_all().await.unwrap();
        assert_eq!(sms.claim(1, MINUTE).await.unwrap()[0].1.unanswered, 2);
    }

    async fn what_waited_too_long_is_claimed_to_fail(world: &World) {
        let sms = world.store.sms();
        let (ada, _) = tenant(&world.store, "ada", 1).await;
        let late = Waiting { expires_on: now(), ..waiting() };
        let late = sms.enqueue(ada.uuid, vec![message("12025550199", "late")], late).await.unwrap();
        let good = sms.enqueue(ada.uuid, vec![message("12025550199", "good")], waiting()).await.unwrap();
        let expired = sms.claim_expired(10, MINUTE).await.unwrap();
        assert_eq!(expired.iter().map(|(m, _)| (m.uuid, m.state)).collect::<Vec<_>>(), [(late[0].uuid, SmsState::Created)]);
        assert_eq!(sms.claim_expired(10, MINUTE).await.unwrap(), []);
        assert_eq!(sms.claim(10, MINUTE).await.unwrap()[0].0.uuid, good[0].uuid);
    }

    async fn the_most_urgent_goes_first_and_none_before_its_time(world: &World) {
        let sms = world.store.sms();
        let (ada, _) = tenant(&world.store, "ada", 1).await;
        let queue = async |text: &str, waiting| {
            sms.enqueue(ada.uuid, vec![message("12025550199", text)], waiting).await.unwrap().remove(0)
        };
        queue("low", Waiting { priority: Priority::Low, ..waiting() }).await;
        queue("normal", waiting()).await;
        queue("high", Waiting { priority: Priority::High, ..waiting() }).await;
        let scheduled = Waiting { send_at: Some(now() + MINUTE / 2), priority: Priority::High, ..waiting() };
        let scheduled = queue("scheduled", scheduled).await;
        let state = sms.queue_state(ada.uuid).await.unwrap();
        assert_eq!((state.waiting, state.scheduled, state.sending), (3, 1, 0));
        assert!(state.oldest.is_some());
        let mut texts = Vec::new();
        for _ in 0..3 {
            texts.push(sms.claim(1, MINUTE).await.unwrap().remove(0).0.message);
        }
        assert_eq!(texts, ["high", "normal", "low"]);
        assert_eq!(sms.claim(1, MINUTE).await.unwrap(), []);
        let state = sms.queue_state(ada.uuid).await.unwrap();
        assert_eq!((state.waiting, state.scheduled, state.sending), (0, 1, 3));

        let canceled = sms.cancel(ada.uuid, scheduled.uuid, "Canceled").await.unwrap().unwrap();
        assert_eq!((canceled.state, canceled.reason.as_deref()), (SmsState::Failed, Some("Canceled")));
        assert_eq!(sms.cancel(ada.uuid, scheduled.uuid, "Canceled").await.unwrap(), None);
    }

    async fn no_two_workers_get_one_message(world: &World) {
        let (ada, _) = tenant(&world.store, "ada", 1).await;
        let new = (0..40).map(|n| message("12025550199", &n.to_string())).collect();
        world.store.sms().enqueue(ada.uuid, new, waiting()).await.unwrap();
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

    async fn what_the_carrier_has_is_charged_whatever_the_balance(world: &World) {
        let sms = world.store.sms();
        let (ada, _) = tenant(&world.store, "ada", 1).await;
        let one = sms.enqueue(ada.uuid, vec![message("12025550199", "one")], waiting()).await.unwrap()[0].uuid;
        sms.claim(1, MINUTE).await.unwrap();
        let settled = sms.settle(vec![accepted(ada.uuid, one, &["ref"], "2")]).await.unwrap();
        assert_eq!(settled.balances[&ada.uuid], -Money::units(1));
        assert_eq!(world.store.accounts().get(ada.uuid).await.unwrap().balance, -Money::units(1));
    }

    async fn an_inbound_message_is_written_with_all_it_brings_about_or_not_at_all(world: &World) {
        let (sms, lists) = (world.store.sms(), world.store.opt_outs());
        let (ada, _) = tenant(&world.store, "ada", 1).await;
        let them = Tn::new(12025550199).unwrap();
        let inbound = || NewSms { kind: SmsType::Inbound, from: "12025550199".into(), ..message("12015550100", "Stop") };
        let consequences = |price: i64| {
            move |uuid| Consequences {
                charge: Some(NewTransaction::charge(Money::units(price), RefType::SmsIncoming, uuid, "SMS")),
                opt: Some((true, "Stop".into())),
                reply: Some((message("12025550199", "Bye"), waiting())),
                ..Consequences::default()
            }
        };
        let refused = sms.receive(ada.uuid, inbound(), consequences(2)).await;
        assert!(matches!(refused, Err(StoreError::InsufficientBalance)));
        assert_eq!(lists.among(ada.uuid, None, vec![them]).await.unwrap(), []);
        assert_eq!(sms.queue_length().await.unwrap(), 0);
        let received = sms.receive(ada.uuid, inbound(), consequences(1)).await.unwrap().unwrap();
        assert_eq!(received.booked.unwrap().account_balance_after, Money::ZERO);
        assert_eq!(received.reply.unwrap().state, SmsState::Created);
        assert_eq!(lists.among(ada.uuid, None, vec![them]).await.unwrap(), [them]);
        let back = |_| Consequences { opt: Some((false, "Start".into())), ..Consequences::default() };
        sms.receive(ada.uuid, inbound(), back).await.unwrap();
        assert_eq!(lists.among(ada.uuid, None, vec![them]).await.unwrap(), []);
    }

    async fn segments_wait_until_their_message_is_whole_or_given_up(world: &World) {
        let sms = world.store.sms();
        let (ada, _) = tenant(&world.store, "ada", 1).await;
        let segment = |reference, number: u8| NewSegment {
            carrier: "north".into(),
            from: 12025550199,
            to: 12015550100,
            data_coding: 8,
            reference,
            total: 3,
            number,
            octets: vec![0, number],
        };
        let (long, short) = (MINUTE, Duration::ZERO);
        for (reference, number) in [(7, 3), (9, 1), (7, 1), (7, 3)] {
            assert_eq!(sms.segment(segment(reference, number), long).await.unwrap(), None);
        }
        assert_eq!(sms.unfinished(long, 3).await.unwrap(), []);
        let oldest = sms.unfinished(long, 2).await.unwrap();
        assert_eq!(oldest.len(), 1, "of two messages");
        let numbers = |segments: &[Segment]| segments.iter().map(|segment| segment.number).collect::<Vec<_>>();
        // Asked again it is the same: nothing was written.
        for _ in 0..2 {
            let whole = sms.segment(segment(7, 2), long).await.unwrap().unwrap();
            assert_eq!(numbers(&whole.segments), [1, 2, 3]);
        }
        let whole = sms.segment(segment(7, 2), long).await.unwrap().unwrap();
        let inbound = NewSms { kind: SmsType::Inbound, from: "12025550199".into(), ..message("12015550100", "x") };
        let joined = Some(whole.message);
        sms.receive(ada.uuid, inbound, |_| Consequences { joined, ..Consequences::default() }).await.unwrap();
        let late = sms.unfinished(short, 100).await.unwrap();
        assert_eq!(late.iter().map(|late| numbers(&late.segments)).collect::<Vec<_>>(), [[1]]);
        sms.forget_unfinished(late[0].message).await.unwrap();
        assert_eq!(sms.unfinished(short, 0).await.unwrap(), []);
    }

    async fn opt_outs_are_a_list_for_each_profile(world: &World) {
        let lists = world.store.opt_outs();
        let (ada, _) = tenant(&world.store, "ada", 1).await;
        let (bob, _) = tenant(&world.store, "bob", 1).await;
        let (a, b) = (ada.uuid, bob.uuid);
        let profiles = world.store.messaging_profiles();
        let news = profiles.create(a, None, NewMessagingProfile::new("news")).await.unwrap().uuid;
        let (one, two) = (Tn::new(12025550101).unwrap(), Tn::new(12025550102).unwrap());
        assert_eq!(lists.add(a, Some(news), &[one, two]).await.unwrap().len(), 2);
        let again = lists.add(a, Some(news), &[one]).await.unwrap();
        assert_eq!((again.len(), again[0].source), (1, OptOutSource::Account));
        lists.add(a, None, &[one]).await.unwrap();
        assert!(matches!(lists.add(b, Some(news), &[one]).await, Err(StoreError::NotFound("MessagingProfile"))));
        assert_eq!(lists.among(a, None, vec![one, two]).await.unwrap(), [one]);
        assert_eq!(lists.among(b, Some(news), vec![one, two]).await.unwrap(), []);
        let filter = OptOutFilter { messaging_profile: Some(news), tn: Some("*0102".into()), source: None };
        let found = lists.search(a, filter, Search::default()).await.unwrap();
        assert_eq!((found.total, found.data[0].tn), (Some(1), two));
        assert_eq!(lists.remove(a, Some(news), &[one]).await.unwrap(), 1);
        assert_eq!(lists.remove(a, Some(news), &[one]).await.unwrap(), 0);
        profiles.delete(a, news).await.unwrap();
        let left = lists.search(a, OptOutFilter::default(), Search::default()).await.unwrap();
        assert_eq!(left.total, Some(1));
    }

    async fn a_number_is_told_by_its_record(world: &World) {
        let sms = world.store.sms();
        let (ada, _) = tenant(&world.store, "ada", 1).await;
        let (a, tn, them) = (ada.uuid, Tn::new(12015550100).unwrap(), Tn::new(12025550199).unwrap());
        let profile = Uuid::new_v4();
        let pool = |n: i32| NewSms {
            kind: SmsType::Pool, messaging_profile: Some(profile), ..message("12025550199", &n.to_string())
        };
        assert_eq!(sms.last_sender(a, profile, them).await.unwrap(), None);
        let rows = sms.enqueue(a, (0..3).map(pool).collect(), waiting()).await.unwrap();
        assert_eq!(sms.last_sender(a, profile, them).await.unwrap(), Some(tn));
        assert_eq!(sms.record_of(a, tn, 50).await.unwrap(), (0, 0));
        sms.claim(2, MINUTE).await.unwrap();
        let failed = |n: usize| settlement(a, rows[n].uuid, Outcome::Failed { reason: "no".into() });
        let claimed_first = accepted(a, rows[0].uuid, &["r"], "0.01");
        sms.settle(vec![claimed_first, failed(1), failed(2)]).await.unwrap();
        assert_eq!(sms.record_of(a, tn, 50).await.unwrap(), (2, 1), "one never was at a carrier");
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
