//! Filter profiles of numbers: who gets through, and what happens to who does not (domain.md, TN filter profile).
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use opentact_sip::ua::Event;
use opentact_store::apps::NewApp;
use opentact_store::tn_filters::TnFilter;
use opentact_store::types::OnReject;
use serde_json::{Value, json};
use uuid::Uuid;
use world::{NUMBER, Peer, World};

/// The caller of the world's peers.
const CALLER: &str = "12025550123";

/// A filter of the world's number, whose app rejects with 480 whoever gets through.
async fn filtered(world: &World, change: impl FnOnce(&mut TnFilter) + Send) -> Uuid {
    let filters = world.store.tn_filters();
    let filter = filters.create(world.account, None, "spam".to_owned(), true, OnReject::Decline, None).await.unwrap();
    filters.update(world.account, filter.uuid, None, change).await.unwrap();
    let xml = "<Response><Reject code=\"480\"/></Response>".to_owned();
    let app = NewApp { xml: Some(xml), ..NewApp::new("open") };
    let app = world.store.apps().create(world.account, None, app).await.unwrap().uuid;
    world.number(NUMBER, |lease| (lease.sip_control_app, lease.tn_profile) = (Some(app), Some(filter.uuid))).await;
    filter.uuid
}

async fn code(world: &World, peer: &mut Peer, headers: &[(&'static str, &'static str)]) -> u16 {
    use opentact_sip::uri::{NameAddr, Uri};
    let from = NameAddr::new(Uri::from_addr(Some(&format!("+{CALLER}")), peer.address));
    let to = Uri::from_addr(Some(&NUMBER.to_string()), world.sip);
    peer.call_with(world.sip, from, to, 40_000, headers);
    loop {
        match peer.event().await {
            Event::Failed { code, .. } => return code,
            Event::Answered { .. } => return 200,
            _ => {}
        }
    }
}

fn list(entries: &[&str]) -> opentact_store::Json<Vec<String>> {
    opentact_store::Json(entries.iter().map(|&entry| entry.to_owned()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_on_the_blacklist_or_not_on_the_whitelist_is_kept_out() {
    // Whitelist, blacklist; what a caller with a number and one without are told.
    let cases = [
        (&[][..], &[][..], 480, 480),
        (&[], &["1202*"], 603, 480),
        (&[], &["anonymous"], 480, 603),
        (&["12025550123"], &[], 480, 603),
        (&["1203*", "anonymous"], &[], 603, 480),
        (&["*"], &["12025550123"], 603, 603),
    ];
    for (whitelist, blacklist, known, withheld) in cases {
        let world = World::new().await;
        let mut peer = Peer::new().await;
        world.trunk(&peer).await;
        filtered(&world, |filter| (filter.whitelist, filter.blacklist) = (list(whitelist), list(blacklist))).await;
        let codes = (code(&world, &mut peer, &[]).await, code(&world, &mut peer, &[("Privacy", "id")]).await);
        assert_eq!(codes, (known, withheld), "{whitelist:?} {blacklist:?}");
        world.idle().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_call_is_counted_and_in_the_log_with_the_rule_that_hit() {
    let mut world = World::new().await;
    let mut peer = Peer::new().await;
    world.trunk(&peer).await;
    let blacklist = |filter: &mut TnFilter| filter.blacklist = list(&["1*23", "anonymous"]);
    let filter = filtered(&world, blacklist).await;
    for _ in 0..2 {
        assert_eq!(code(&world, &mut peer, &[]).await, 603);
        let call = world.destroyed().await["call"].clone();
        assert_eq!((&call["q850_cause"], &call["from"]), (&json!(21), &json!("+12025550123")));
        let meta: &Value = &call["meta"];
        let hit = json!({"uuid": filter, "name": "spam", "list": "blacklist", "rule": "1*23"});
        assert_eq!((&meta["tn_profile"], &meta["reason"]), (&hit, &json!("Decline")));
    }
    assert_eq!(world.store.tn_filters().get(world.account, filter).await.unwrap().rejected, 2);
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_call_is_busy_or_an_apps_where_that_is_asked_for() {
    let world = World::new().await;
    let mut peer = Peer::new().await;
    world.trunk(&peer).await;
    let busy = |filter: &mut TnFilter| (filter.blacklist, filter.on_reject) = (list(&["*"]), OnReject::Busy);
    let filter = filtered(&world, busy).await;
    assert_eq!(code(&world, &mut peer, &[]).await, 486);
    let xml = "<Response><Reject code=\"488\"/></Response>".to_owned();
    let app = NewApp { xml: Some(xml), ..NewApp::new("voicemail") };
    let app = world.store.apps().create(world.account, None, app).await.unwrap().uuid;
    let to_app =
        |filter: &mut TnFilter| (filter.on_reject, filter.sip_control_app) = (OnReject::VoicemailApp, Some(app));
    world.store.tn_filters().update(world.account, filter, None, to_app).await.unwrap();
    world.engine.control().invalidate(world.account);
    assert_eq!(code(&world, &mut peer, &[]).await, 488);
    world.store.tn_filters().update(world.account, filter, None, |filter| filter.is_active = false).await.unwrap();
    world.engine.control().invalidate(world.account);
    assert_eq!(code(&world, &mut peer, &[]).await, 480);
    world.idle().await;
}
