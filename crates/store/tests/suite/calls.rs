use std::time::Duration;

use opentact_store::calls::{CallFilter, CallFlowLog, CallRecord, FlowLogFilter, Related, SpentCall};
use opentact_store::events::{Batch, Event};
use opentact_store::tn_filters::RejectedCalls;
use opentact_store::types::{CallState, CallType, Direction, EventType, Json, OnReject, now};
use opentact_store::{Money, Search, Store, StoreError, Tn};
use serde_json::json;
use uuid::Uuid;

use crate::world::{on_both, tenant};

fn call(account: Uuid, from: &str, to: &str) -> CallRecord {
    CallRecord {
        uuid: Uuid::new_v4(),
        created_on: now(),
        modified_on: now(),
        account,
        direction: Direction::In,
        from: from.into(),
        to: to.into(),
        state: CallState::Init,
        kind: CallType::Sca,
        thread: "0".repeat(32),
        parent: None,
        tn: Tn::new(12015550100).ok(),
        sip_control_app: None,
        sip_connection: None,
        sip_user: None,
        batch_item: None,
        sip_call_id: Some("call@192.0.2.1".into()),
        init_on: Some(now()),
        ring_on: None,
        answer_on: None,
        hangup_on: None,
        destroy_on: None,
        finished_on: None,
        duration: 0,
        q850_cause: None,
        q850_cause_string: None,
        freeswitch_call_state: "DOWN".into(),
        freeswitch_channel_state: "CS_NEW".into(),
        stir_shaken_attest_level: None,
        outbound_voice_profile: None,
        minute_price: None,
        related: Json(Related { tn: Some(json!({ "tn": 12015550100_u64 }).into()), ..Related::default() }),
        meta: Json(json!({ "ticket": 1.50 }).as_object().unwrap().clone()),
    }
}

fn log(call: &CallRecord, position: i64, name: &str, success: bool) -> CallFlowLog {
    CallFlowLog {
        uuid: Uuid::new_v4(),
        created_on: now(),
        modified_on: now(),
        account: call.account,
        call: call.uuid,
        sip_control_app: call.sip_control_app,
        position,
        name: name.into(),
        element: name.into(),
        path: format!("{name}[{position}]"),
        success,
        reason: String::new(),
        tag: None,
        command: Json(json!({ "lang": "en" })),
        children: Json(vec![]),
        errors: Json(vec![]),
    }
}

fn event(account: Uuid, seq: i64) -> Event {
    Event {
        account,
        seq,
        uuid: Uuid::new_v4(),
        created_on: now(),
        kind: EventType::CallState,
        ref_id: None,
        body: format!("{{\"seq\":{seq}}}").into(),
    }
}

async fn found(store: &Store, account: Uuid, filter: CallFilter) -> Vec<String> {
    let mut search = Search::first(100);
    search.order = vec![("from".into(), opentact_store::search::Sort::Asc)];
    let found = store.calls().search(account, filter, search).await.unwrap();
    found.data.into_iter().map(|c| c.from).collect()
}

on_both! {
    async fn pages_by_cursor_miss_no_call_of_one_millisecond(world: &World) {
        let calls = world.store.calls();
        let account = Uuid::new_v4();
        let begin = now();
        let mut saved = Vec::new();
        for n in 0..23 {
            // Two of a microsecond, all of a millisecond.
            let created_on = begin + Duration::from_micros(n / 2);
            let one = CallRecord { created_on, ..call(account, "1", "2") };
            calls.save(one.clone()).await.unwrap();
            saved.push(one);
        }
        saved.sort_by_key(|call| std::cmp::Reverse((call.created_on, call.uuid)));
        let mut walked = Vec::new();
        let mut cursor = None;
        loop {
            let search = Search { cursor, ..Search::first(5) };
            let found = calls.search(account, CallFilter::default(), search).await.unwrap();
            assert_eq!(found.total, Some(23), "of all, wherever the cursor stands");
            walked.extend(found.data);
            cursor = found.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(walked, saved);
        let behind = Search { skip: 30, ..Search::first(5) };
        let behind = calls.search(account, CallFilter::default(), behind).await.unwrap();
        assert_eq!((behind.total, behind.data), (Some(23), vec![]));
    }

    async fn a_call_is_written_again_as_it_goes_on(world: &World) {
        let calls = world.store.calls();
        let account = Uuid::new_v4();
        let mut record = call(account, "+12025550199", "12015550100");
        calls.save(record.clone()).await.unwrap();
        assert_eq!(calls.get(account, record.uuid).await.unwrap(), record);
        assert_eq!(calls.unfinished().await.unwrap().len(), 1);
        record.state = CallState::Destroyed;
        record.answer_on = Some(now());
        record.duration = 7;
        record.q850_cause = Some(16);
        calls.save(record.clone()).await.unwrap();
        assert_eq!(calls.get(account, record.uuid).await.unwrap(), record);
        assert_eq!(calls.unfinished().await.unwrap(), []);
        assert!(matches!(calls.get(Uuid::new_v4(), record.uuid).await, Err(StoreError::NotFound("Call"))));
        let child = CallRecord { parent: Some(record.uuid), ..call(account, "1", "2") };
        calls.save(child.clone()).await.unwrap();
        assert_eq!(calls.children(account, record.uuid).await.unwrap(), [child]);
    }

    async fn calls_are_searched(world: &World) {
        let store = &world.store;
        let account = Uuid::new_v4();
        for (from, to, duration, state) in [
            ("+12025550100", "12015550100", 5, CallState::Destroyed),
            ("+12025550101", "12015550100", 50, CallState::Destroyed),
            ("+13035550100", "phone@home.sip.localhost", 0, CallState::Live),
        ] {
            store.calls().save(CallRecord { duration, state, ..call(account, from, to) }).await.unwrap();
        }
        store.calls().save(call(Uuid::new_v4(), "+12025550102", "12015550100")).await.unwrap();
        let any = CallFilter::default;
        assert_eq!(found(store, account, any()).await.len(), 3);
        let from = |m: &str| CallFilter { from: Some(m.into()), ..any() };
        assert_eq!(found(store, account, from("12025550101")).await, ["+12025550101"]);
        assert_eq!(found(store, account, from("+1202*")).await, ["+12025550100", "+12025550101"]);
        assert_eq!(found(store, account, from("1202*")).await, ["+12025550100", "+12025550101"]);
        assert_eq!(found(store, account, CallFilter { to: Some("*@home%".into()), ..any() }).await, ["+13035550100"]);
        let long = CallFilter { duration_min: Some(6), duration_max: Some(60), ..any() };
        assert_eq!(found(store, account, long).await, ["+12025550101"]);
        assert_eq!(found(store, account, CallFilter { online: Some(true), ..any() }).await, ["+13035550100"]);
        assert_eq!(found(store, account, CallFilter { state: Some(CallState::Live), ..any() }).await.len(), 1);
        assert_eq!(found(store, account, CallFilter { tn: Some("1201*".into()), ..any() }).await.len(), 3);
        assert_eq!(found(store, account, CallFilter { kind: Some(CallType::User), ..any() }).await.len(), 0);
    }

    async fn a_batch_is_written_whole_or_not_at_all(world: &World) {
        let store = &world.store;
        let account = tenant(store, "batch", 0).await.0.uuid;
        let filters = store.tn_filters();
        let spam = filters.create(account, None, "spam".into(), true, OnReject::Decline, None).await.unwrap().uuid;
        let rejected = |filter, count| RejectedCalls { account, filter, count };
        let record = CallRecord { sip_control_app: Some(Uuid::new_v4()), ..call(account, "1", "2") };
        let logs = vec![log(&record, 0, "Answer", true), log(&record, 1, "Say", false)];
        let batch = Batch {
            calls: vec![record.clone()],
            flow_logs: logs.clone(),
            // One of a filter that is gone.
            rejected: vec![rejected(spam, 2), rejected(Uuid::new_v4(), 1)],
            events: (1..=1200).map(|seq| event(account, seq)).collect(),
            ..Batch::default()
        };
        store.events().commit(batch).await.unwrap();
        assert_eq!(store.calls().logs(account, record.uuid).await.unwrap(), logs);
        let filter = FlowLogFilter { success: Some(false), sip_control_app: record.sip_control_app, ..Default::default() };
        let failed = store.calls().search_logs(account, filter, Search::default()).await.unwrap();
        assert_eq!(failed.data, logs[1..]);

        let other = call(account, "3", "4");
        let (calls, counts) = (vec![other.clone()], vec![rejected(spam, 5)]);
        let taken = Batch { calls, rejected: counts, events: vec![event(account, 1200)], ..Batch::default() };
        assert!(matches!(store.events().commit(taken).await, Err(StoreError::Conflict(_))));
        assert!(matches!(store.calls().get(account, other.uuid).await, Err(StoreError::NotFound(_))));
        assert_eq!(filters.get(account, spam).await.unwrap().rejected, 2);
    }

    async fn the_log_is_read_in_order_and_pruned_to_the_newest(world: &World) {
        let events = world.store.events();
        let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
        let batch = Batch {
            events: (1..=10).map(|seq| event(a, seq)).chain((1..=3).map(|seq| event(b, seq))).collect(),
            ..Batch::default()
        };
        events.commit(batch).await.unwrap();
        assert_eq!(events.heads().await.unwrap(), [(a, 10), (b, 3)].into());
        let after = events.after(a, 7, 2).await.unwrap();
        assert_eq!(after.iter().map(|e| (e.seq, &*e.body)).collect::<Vec<_>>(), [
            (8, "{\"seq\":8}"),
            (9, "{\"seq\":9}"),
        ]);
        assert_eq!(events.prune_until(a, 6).await.unwrap(), 6);
        assert_eq!(events.oldest(a).await.unwrap(), Some(7));
        assert_eq!(events.prune_older(now() - Duration::from_secs(60), 100).await.unwrap(), 0);
        assert_eq!(events.prune_older(now() + Duration::from_secs(60), 2).await.unwrap(), 2);
        assert_eq!(events.prune_older(now() + Duration::from_secs(60), 100).await.unwrap(), 3);
        assert_eq!(events.heads().await.unwrap(), [(a, 10), (b, 3)].into(), "the newest stay");
    }

    async fn calls_that_cost_something_are_found_in_the_order_they_ended(world: &World) {
        let store = &world.store;
        let account = Uuid::new_v4();
        let (profile, price) = (Uuid::new_v4(), "0.014".parse::<Money>().unwrap());
        let noon = now() - Duration::from_secs(7_200);
        let at = |minutes: u64| noon + Duration::from_secs(minutes * 60);
        let ended = |minutes: Option<u64>, counts: bool, answered: bool| CallRecord {
            answer_on: answered.then_some(noon),
            hangup_on: minutes.map(at),
            outbound_voice_profile: counts.then_some(profile),
            minute_price: counts.then_some(price),
            ..call(account, "12015550100", "12065550100")
        };
        let mut expected = Vec::new();
        for minutes in [5, 3, 3, 9, 1] {
            let call = ended(Some(minutes), true, true);
            expected.push((call.hangup_on.unwrap(), call.uuid));
            store.calls().save(call).await.unwrap();
        }
        // That goes on, was not answered, counts for nothing, or is long ago.
        for other in
            [ended(None, true, true), ended(Some(4), true, false), ended(Some(4), false, true), ended(Some(0), true, true)]
        {
            store.calls().save(other).await.unwrap();
        }
        expected.sort();
        let mut found: Vec<SpentCall> = Vec::new();
        loop {
            let page = store.calls().spent(at(1), found.last(), 2).await.unwrap();
            let last = page.len() < 2;
            found.extend(page);
            if last {
                break;
            }
        }
        assert_eq!(found.iter().map(|call| (call.hangup_on, call.uuid)).collect::<Vec<_>>(), expected);
        assert!(found.iter().all(|call| (call.outbound_voice_profile, call.minute_price) == (profile, price)));
        assert!(found.iter().all(|call| call.answer_on == noon));
    }
}
