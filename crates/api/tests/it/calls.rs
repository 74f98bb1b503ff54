use std::time::Duration;

use chrono::TimeDelta;
use opentact_callflow::{Record, RecordFormat};
use opentact_engine::ports::{Amd, ControlError, DevScript, FlowSource, LegMessage, SipMessage};
use opentact_media::amd::Settings;
use opentact_store::calls::CallFlowLog;
use opentact_store::types::{CallState, Json, now};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{World, call_record, leg_media, shown};

const FLOW: &str = "<Response><Say>Hello.</Say><Hangup/></Response>";

#[tokio::test]
async fn a_call_is_made_with_what_was_asked() {
    let world = World::new().await;
    let form = json!({"to": 12125550001_u64, "from": "+12015550100", "xml": FLOW, "timeout": 20, "max_length": 60, "meta": {"order": 7}});
    let call = world.post("/rest/call", form).expect(201).await;
    insta::assert_snapshot!(shown(&call));
    let asked = world.calls.originated.lock().remove(0);
    assert_eq!((asked.to.as_str(), asked.from.as_deref()), ("12125550001", Some("+12015550100")));
    assert_eq!((asked.timeout, asked.max_length), (Duration::from_secs(20), Some(Duration::from_secs(60))));
    assert!(matches!(asked.flow, FlowSource::Document(_)));
    assert_eq!(asked.meta["order"], json!(7));

    world
        .post("/rest/call", json!({"to": "alice@home.sip.localhost", "call_flow_url": "https://example.com/flow"}))
        .expect(201)
        .await;
    let asked = world.calls.originated.lock().remove(0);
    assert_eq!((asked.to.as_str(), asked.timeout), ("alice@home.sip.localhost", Duration::from_secs(60)));
    assert!(matches!(asked.flow, FlowSource::Url(_)));
    world.post("/rest/call", json!({"to": "sip:bob@192.0.2.1"})).expect(201).await;
    assert!(matches!(world.calls.originated.lock().remove(0).flow, FlowSource::Park));
}

#[tokio::test]
async fn a_call_that_makes_no_sense_is_not_made() {
    let world = World::new().await;
    let wrong = json!({"timeout": 100000, "max_length": 0, "tn_lease": "x", "meta": [], "call_flow_url": "file:///etc/passwd", "xml": "<Response><Sya/></Response>"});
    insta::assert_snapshot!(shown(&world.post("/rest/call", wrong).expect(422).await["fields"]));
    let two = json!({"to": 1, "xml": FLOW, "call_flow_url": "https://example.com/"});
    let two = world.post("/rest/call", two).expect(422).await;
    assert!(two["fields"]["params.call_flow_url"].is_object());
    let broken = json!({"to": 12125550001_u64, "xml": "<Response><Sya/></Response>"});
    let broken = world.post("/rest/call", broken).expect(422).await;
    assert_eq!(broken["fields"]["params.xml[0]"]["line"], 1);
    let app = json!({"to": 12125550001_u64, "sip_control_app": Uuid::new_v4()});
    assert_eq!(world.post("/rest/call", app).expect(404).await["message"], "SIP Control app not found");
    assert!(world.calls.originated.lock().is_empty());
}

#[tokio::test]
async fn a_call_is_recorded_as_was_asked() {
    let world = World::new().await;
    let mut asked = Vec::new();
    for record in [json!(true), json!(false), json!({"tag": "sale", "channels": 1, "format": "mp3"})] {
        world.post("/rest/call", json!({"to": 12125550001_u64, "record": record})).expect(201).await;
        asked.push(world.calls.originated.lock().remove(0).record);
    }
    let told = Record { channels: 1, format: RecordFormat::Mp3, ..Record::background(Some("sale".to_owned())) };
    assert_eq!(asked, [Some(Record::background(None)), None, Some(told)]);
    let wrong = json!({"to": 12125550001_u64, "record": {"channels": 3, "format": "flac", "tag": ""}});
    insta::assert_snapshot!(shown(&world.post("/rest/call", wrong).expect(422).await["fields"]));
}

#[tokio::test]
async fn who_has_answered_is_found_out_as_was_asked() {
    let world = World::new().await;
    let defaults = Settings::default();
    let tuned = json!({"mode": "sync", "beep": true, "greeting": 2000, "threshold": -35.5});
    for (amd, wanted) in [
        (json!({"mode": "async"}), Amd { sync: false, settings: defaults }),
        (tuned, Amd { sync: true, settings: Settings { beep: true, greeting: 2_000, threshold: -35.5, ..defaults } }),
    ] {
        world.post("/rest/call", json!({"to": 12125550001_u64, "amd": amd})).expect(201).await;
        assert_eq!(world.calls.originated.lock().remove(0).amd, Some(wanted));
    }
    let wrong = json!({"to": 12125550001_u64, "amd": {"mode": "later", "total": 1, "max_words": 0, "threshold": 3, "beep": "yes"}});
    let refused = world.post("/rest/call", wrong).expect(422).await;
    for property in ["mode", "total", "max_words", "threshold", "beep"] {
        assert!(refused["fields"][format!("params.amd.{property}")].is_object(), "{property}: {refused}");
    }
    world.post("/rest/call", json!({"to": 12125550001_u64, "amd": true})).expect(422).await;
    world.post("/rest/call", json!({"to": 12125550001_u64, "amd": {}})).expect(422).await;
}

#[tokio::test]
async fn two_live_calls_are_joined() {
    let world = World::new().await;
    let stranger = world.stranger().await;
    let call = |account, state| call_record(account, state, "12125550001");
    let (me, them) = (world.me.account.uuid, stranger.account.uuid);
    let [one, other, rings, foreign] = [
        call(me, CallState::Live),
        call(me, CallState::Live),
        call(me, CallState::Ringing),
        call(them, CallState::Live),
    ];
    let past = call(me, CallState::Destroyed);
    world.calls.live.lock().extend([one.clone(), other.clone(), rings.clone(), foreign.clone()]);
    world.store.calls().save(past.clone()).await.unwrap();
    world.store.calls().save(foreign.clone()).await.unwrap();
    let bridge = |a: Uuid, b: Uuid| world.post("/rest/call/bridge", json!({"calls": [a, b]}));
    let joined = bridge(one.uuid, other.uuid).expect(200).await;
    assert_eq!(joined["uuid"], json!(one.uuid));
    assert_eq!(*world.calls.bridged.lock(), [[one.uuid, other.uuid]]);
    for (a, b) in [(one.uuid, rings.uuid), (past.uuid, one.uuid), (one.uuid, past.uuid)] {
        assert_eq!(bridge(a, b).expect(409).await["message"], "Call is not live");
    }
    assert_eq!(bridge(one.uuid, foreign.uuid).expect(401).await["message"], "Forbidden");
    bridge(one.uuid, other.uuid).by(&stranger).expect(404).await;
    bridge(Uuid::new_v4(), one.uuid).expect(404).await;
    bridge(one.uuid, one.uuid).expect(422).await;
}

#[tokio::test]
async fn two_are_called_to_be_joined() {
    let world = World::new().await;
    let form = json!({"from_leg": {"to": 12125550001_u64}, "to_leg": {"to": "alice@home.sip.localhost"}, "from": 12015550100_u64, "timeout": 20, "record": true});
    world.post("/rest/call/bridge", form).expect(201).await;
    let asked = world.calls.originated.lock().remove(0);
    assert_eq!((asked.to.as_str(), asked.from.as_deref()), ("12125550001", Some("12015550100")));
    assert!(asked.record.is_some() && asked.timeout == Duration::from_secs(20));
    let FlowSource::Dial { to, timeout } = asked.flow else { panic!("{:?}", asked.flow) };
    assert_eq!((to.as_str(), timeout), ("alice@home.sip.localhost", Duration::from_secs(20)));
    let wrong = json!({"calls": [Uuid::nil()], "to_leg": {}, "timeout": 3});
    insta::assert_snapshot!(shown(&world.post("/rest/call/bridge", wrong).expect(422).await["fields"]));
    insta::assert_snapshot!(shown(
        &world.post("/rest/call/bridge", json!({"from_leg": {}})).expect(422).await["fields"]
    ));
    let value = "nobody".to_owned();
    *world.calls.refuse.lock() = Some(ControlError::Invalid { field: "to", message: "no route".to_owned(), value });
    let refused = json!({"from_leg": {"to": "nobody"}, "to_leg": {"to": 12125550001_u64}});
    let refused = world.post("/rest/call/bridge", refused).expect(422).await;
    assert_eq!(refused["fields"]["params.from_leg.to"]["message"], "no route");
}

#[tokio::test]
async fn what_the_engine_refuses_has_its_own_status() {
    let world = World::new().await;
    let form = json!({"to": 12125550001_u64});
    let country = ControlError::Forbidden { code: 406, message: "Country Permission Violation".to_owned() };
    *world.calls.refuse.lock() = Some(country);
    let refused = world.post("/rest/call", form.clone()).expect(403).await;
    assert_eq!(
        (refused["code"].clone(), refused["message"].clone()),
        (json!(406), json!("Country Permission Violation"))
    );
    *world.calls.refuse.lock() = Some(ControlError::InsufficientBalance);
    world.post("/rest/call", form.clone()).expect(402).await;
    let value = "12125550001".to_owned();
    *world.calls.refuse.lock() = Some(ControlError::Invalid { field: "to", message: "no route".to_owned(), value });
    let refused = world.post("/rest/call", form.clone()).expect(422).await;
    assert_eq!(refused["fields"]["params.to"]["message"], "no route");
    let account = world.me.account.uuid;
    world.store.accounts().update(account, |account| account.disabled_on = Some(now())).await.unwrap();
    assert_eq!(world.post("/rest/call", form).expect(403).await["message"], "Account is disabled");
}

#[tokio::test]
async fn a_live_call_is_listed_steered_and_ended() {
    let world = World::new().await;
    let record = call_record(world.me.account.uuid, CallState::Live, "12125550001");
    let waiting = call_record(world.me.account.uuid, CallState::Ringing, "12125550002");
    world.calls.live.lock().extend([record.clone(), waiting.clone()]);
    assert_eq!(world.get("/rest/call/online").expect(200).await.as_array().unwrap().len(), 2);
    assert_eq!(world.get("/rest/sip/app/call/online").expect(200).await.as_array().unwrap().len(), 2);
    let path = format!("/rest/call/{}", record.uuid);
    assert_eq!(world.get(&path).expect(200).await["state"], "live");
    world.post(&format!("/rest/call/sca/{}", record.uuid), json!({"xml": FLOW})).expect(200).await;
    world.post(&format!("/rest/sip/app/call/{}", record.uuid), json!({"xml": FLOW})).expect(200).await;
    let busy = world.post(&format!("/rest/call/sca/{}", waiting.uuid), json!({"xml": FLOW})).expect(409).await;
    assert_eq!(busy["message"], "Call is not live");
    world.post(&format!("/rest/call/sca/{}", Uuid::new_v4()), json!({"xml": FLOW})).expect(404).await;
    world.call(http::Method::DELETE, &path).json(&json!({"cause": 17})).expect(200).await;
    world.delete(&format!("{path}?cause=21")).expect(200).await;
    world.delete(&path).expect(200).await;
    world.delete(&format!("{path}?cause=200")).expect(422).await;
    let causes: Vec<Option<u8>> = world.calls.hung_up.lock().iter().map(|(_, cause)| *cause).collect();
    assert_eq!(causes, [Some(17), Some(21), None]);
}

#[tokio::test]
async fn the_call_log_is_searched() {
    let world = World::new().await;
    let account = world.me.account.uuid;
    for (index, to) in ["12125550001", "12125550002", "13105550001"].iter().enumerate() {
        let mut record = call_record(account, CallState::Destroyed, to);
        record.created_on += TimeDelta::seconds(index as i64);
        record.duration = 10 * index as i64;
        world.store.calls().save(record).await.unwrap();
    }
    let found = world
        .post("/rest/call/search?take=1", json!({"to": "1212*", "order": {"created_on": "ASC"}}))
        .expect(200)
        .await;
    assert_eq!((found["total"].clone(), found["take"].clone()), (json!(2), json!(1)));
    assert_eq!(found["data"][0]["to"], "12125550001");
    let long = world.post("/rest/call/search", json!({"duration_min": 15})).expect(200).await;
    assert_eq!(long["data"][0]["to"], "13105550001");
    assert_eq!(world.post("/rest/sip/app/call/search", json!({"state": "online"})).expect(200).await["total"], 0);
    // A page at a time, without counting.
    let first = world.post("/rest/call/search", json!({"take": 2, "count": false})).expect(200).await;
    assert!(first.get("total").is_none());
    let next = json!({"take": 2, "cursor": first["next_cursor"]});
    let second = world.post("/rest/call/search", next).expect(200).await;
    assert_eq!(second["data"].as_array().unwrap().len(), 1);
    let wrong = json!({"take": 0, "skip": -1, "mode": "XOR", "order": {"to": "UP"}, "created_on_from": "yesterday", "state": "gone"});
    insta::assert_snapshot!(shown(&world.post("/rest/call/search", wrong).expect(422).await["fields"]));
    world.post("/rest/call/search", json!({"order": {"nonsense": "ASC"}})).expect(422).await;
    world.post("/rest/call/search?take=many", json!({})).expect(422).await;
    world.post("/rest/call/search?skip=9223372036854775808", json!({})).expect(422).await;
}

#[tokio::test]
async fn a_past_call_shows_its_log() {
    let world = World::new().await;
    let record = call_record(world.me.account.uuid, CallState::Destroyed, "12125550001");
    world.store.calls().save(record.clone()).await.unwrap();
    let at = now();
    let log = CallFlowLog {
        uuid: Uuid::new_v4(),
        created_on: at,
        modified_on: at,
        account: record.account,
        call: record.uuid,
        sip_control_app: None,
        position: 0,
        name: "Say".to_owned(),
        element: "Say".to_owned(),
        path: "Say[0]".to_owned(),
        success: true,
        reason: "Said".to_owned(),
        tag: None,
        command: Json(json!({})),
        children: Json(Vec::new()),
        errors: Json(Vec::new()),
    };
    world.hub.record(opentact_events::Write::FlowLog(Box::new(log))).unwrap();
    world.hub.flush().await;
    let path = format!("/rest/call/{}", record.uuid);
    assert_eq!(world.get(&path).expect(200).await["logs"][0]["name"], "Say");
    let logs = world.get(&format!("{path}/logs")).expect(200).await;
    insta::assert_snapshot!(shown(&logs));
    let stranger = world.stranger().await;
    for path in [path.clone(), format!("{path}/logs")] {
        assert_eq!(world.get(&path).by(&stranger).expect(401).await["message"], "Forbidden");
    }
    assert_eq!(world.get(&format!("/rest/call/{}", Uuid::new_v4())).expect(404).await["message"], "Call not found");
}

#[tokio::test]
async fn the_simulated_network_calls_a_number_of_ours() {
    let world = World::new().await;
    let form = json!({"from": 12125551234_u64, "to": 12015550100_u64, "digits": "12#", "after": 500, "duration": 5});
    world.post("/rest/dev/call", form.clone()).expect(404).await;
    world.lease(&world.me, 12_015_550_100).await;
    world.post("/rest/dev/call", form).expect(201).await;
    let asked = world.calls.dev_calls.lock().remove(0);
    assert_eq!((asked.from, asked.to, asked.duration), (12_125_551_234, 12_015_550_100, Duration::from_secs(5)));
    assert_eq!(asked.script, DevScript::Dtmf { digits: "12#".to_owned(), after: Duration::from_millis(500) });
    let say = json!({"from": 12125551234_u64, "to": 12015550100_u64, "script": "say"});
    let wrong: Value = world.post("/rest/dev/call", say).expect(422).await;
    assert_eq!(wrong["fields"]["params.text"]["message"], "is required for say");
}

#[tokio::test]
async fn a_trace_is_json_a_ladder_or_a_capture_file_and_no_strangers_business() {
    let world = World::new().await;
    let mut record = call_record(world.me.account.uuid, CallState::Destroyed, "12125550001");
    record.related.0.media = Some(leg_media("PCMU").into());
    world.store.calls().save(record.clone()).await.unwrap();
    let talking = call_record(world.me.account.uuid, CallState::Live, "12125550002");
    world.calls.live.lock().push(talking.clone());
    let live = world.get(&format!("/rest/call/{}/trace", talking.uuid)).expect(200).await["media"].clone();
    let told = |codec, leg, live| {
        let mut media = leg_media(codec);
        media["leg"] = json!(leg);
        media["live"] = json!(live);
        json!([media])
    };
    assert_eq!(live, told("opus", talking.uuid, true));
    let (local, remote) = ("127.0.0.1:5060".parse().unwrap(), "127.0.0.1:5070".parse().unwrap());
    let message = |direction, octets: &'static str| {
        let message = SipMessage {
            at: now(),
            direction,
            transport: "UDP",
            local,
            remote,
            call_id: "a@b".to_owned(),
            octets: octets.into(),
        };
        LegMessage { leg: record.uuid, message }
    };
    *world.calls.traced.lock() = vec![
        message("in", "INVITE sip:alice@example.com SIP/2.0\r\nCall-ID: a@b\r\n\r\n"),
        message("out", "SIP/2.0 180 Ringing\r\nCall-ID: a@b\r\n\r\n"),
    ];
    let path = format!("/rest/call/{}/trace", record.uuid);
    let trace = world.get(&path).expect(200).await;
    assert_eq!(trace["media"], told("PCMU", record.uuid, false));
    let sip = trace["sip"].clone();
    assert_eq!(sip[0]["summary"], "INVITE sip:alice@example.com");
    assert_eq!(sip[1]["summary"], "180 Ringing");
    assert_eq!((&sip[1]["direction"], &sip[1]["remote"]), (&json!("out"), &json!("127.0.0.1:5070")));
    assert_eq!(sip[0]["text"], "INVITE sip:alice@example.com SIP/2.0\r\nCall-ID: a@b\r\n\r\n");

    let ladder = world.get(&format!("{path}?format=ladder")).send().await;
    assert_eq!(ladder.headers["content-type"], "text/plain; charset=utf-8");
    let asked = world.get(&format!("{path}?format=pcap")).send().await;
    let accepted = world.get(&path).header("accept", "application/vnd.tcpdump.pcap").send().await;
    for file in [asked, accepted] {
        assert_eq!(
            (file.status.as_u16(), &file.headers["content-type"]),
            (200, &"application/vnd.tcpdump.pcap".parse().unwrap())
        );
    }
    world.get(&format!("{path}?format=xml")).expect(422).await;

    let stranger = world.stranger().await;
    world.get(&path).by(&stranger).expect(401).await;
    world.get(&format!("/rest/call/{}/trace", Uuid::new_v4())).expect(404).await;
}

#[tokio::test]
async fn the_call_log_is_had_as_csv() {
    let world = World::new().await;
    let stored = call_record(world.me.account.uuid, CallState::Destroyed, "12025550177");
    world.store.calls().save(stored.clone()).await.unwrap();
    let log = world.post("/rest/call/search", json!({"to": "*0177"})).header("accept", "text/csv").send().await;
    assert_eq!(log.status, 200);
    assert_eq!(log.headers["content-type"], "text/csv; charset=utf-8; header=present");
    let lines: Vec<&str> = log.text.lines().collect();
    assert!(lines[0].starts_with("uuid,created_on,direction,type,from,to,state,duration,"), "{}", lines[0]);
    assert_eq!(lines.len(), 2);
    assert!(
        lines[1].starts_with(&stored.uuid.to_string()) && lines[1].contains(",12025550177,destroyed,"),
        "{}",
        lines[1]
    );
}
