use opentact_engine::ports::ControlError;
use opentact_store::sip_messages::NewSipMessage;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{World, inbound_sms, shown};

const MINE: u64 = 12_015_550_100;

#[tokio::test]
async fn a_message_is_sent_from_a_number_of_ours() {
    let world = World::new().await;
    let form = json!({"from": MINE, "to": "+12125550001", "message": "Hello"});
    assert_eq!(world.post("/rest/sms", form.clone()).expect(404).await["message"], "TNLease not found");
    world.lease(&world.me, MINE).await;
    let sms = world.post("/rest/sms", form).expect(201).await;
    insta::assert_snapshot!(shown(&sms));
    let path = format!("/rest/sms/{}", sms["uuid"].as_str().unwrap());
    let read = world.get(&path).expect(200).await;
    insta::assert_snapshot!(shown(&read));
    assert_eq!(world.get(&path.replace("/sms/", "/sms/outbound/")).expect(200).await, read);
    world.get(&path.replace("/sms/", "/sms/inbound/")).expect(404).await;
    // The words of 2021.
    world.post("/rest/sms/o", json!({"tn": MINE, "to": 12125550001_u64, "text": "Hello"})).expect(201).await;
    let stranger = world.stranger().await;
    world.get(&path).by(&stranger).expect(401).await;
    world
        .post("/rest/sms", json!({"from": MINE, "to": 12125550001_u64, "message": "x"}))
        .by(&stranger)
        .expect(404)
        .await;
}

#[tokio::test]
async fn several_recipients_have_a_result_each() {
    let world = World::new().await;
    world.lease(&world.me, MINE).await;
    let form = json!({"from": MINE, "to": [12125550001_u64, "12125550002"], "message": "Hello"});
    let results = world.post("/rest/sms", form).expect(201).await;
    let to: Vec<Value> = results.as_array().unwrap().iter().map(|one| one["to"].clone()).collect();
    assert_eq!(to, [json!(12125550001_u64), json!(12125550002_u64)]);
}

#[tokio::test]
async fn a_message_must_make_sense() {
    let world = World::new().await;
    world.lease(&world.me, MINE).await;
    let wrong = json!({"from": "qwerty", "to": ["qwerty", 12125550001_u64, "0"], "message": "x".repeat(919), "validity": 0, "send_at": "soon", "priority": "now"});
    insta::assert_snapshot!(shown(&redact_text(world.post("/rest/sms", wrong).expect(422).await["fields"].clone())));
    let missing = world.post("/rest/sms", json!({"to": 12125550001_u64})).expect(422).await;
    assert_eq!(missing["fields"].as_object().unwrap().keys().collect::<Vec<_>>(), ["params.from", "params.message"]);
    world.post("/rest/sms", json!({"from": MINE, "to": [], "message": "x"})).expect(422).await;
}

fn redact_text(mut fields: Value) -> Value {
    fields["params.message"]["value"] = json!("[919 x]");
    fields
}

#[tokio::test]
async fn a_message_is_looked_at_before_it_is_sent_and_taken_back_after() {
    let world = World::new().await;
    let form = json!({"from": MINE, "message": "Hello"});
    world.post("/rest/sms/preview", form.clone()).expect(404).await;
    world.lease(&world.me, MINE).await;
    assert_eq!(world.post("/rest/sms/preview", form).expect(200).await["segments"], 1);
    let both = json!({"from": MINE, "messaging_profile": Uuid::new_v4(), "message": "x", "to": 12125550001_u64});
    world.post("/rest/sms/preview", both.clone()).expect(422).await;
    world.post("/rest/sms", both).expect(422).await;
    world.post("/rest/sms/preview", json!({"message": "x"})).expect(422).await;

    let form = json!({"from": MINE, "to": 12125550001_u64, "message": "x", "priority": "high"});
    let sms = world.post("/rest/sms", form).expect(201).await;
    let path = format!("/rest/sms/{}", sms["uuid"].as_str().unwrap());
    let stranger = world.stranger().await;
    world.delete(&path).by(&stranger).expect(401).await;
    assert_eq!(world.delete(&path).expect(200).await["reason"], "Canceled");
    let queue = world.get("/rest/sms/queue").expect(200).await;
    assert_eq!(queue, json!({"waiting": 0, "scheduled": 0, "sending": 0, "oldest": null}));
}

#[tokio::test]
async fn numbers_are_put_on_the_list_of_opt_outs_and_taken_off() {
    let world = World::new().await;
    let profile = world.post("/rest/profile/messaging", json!({"name": "news"})).expect(201).await["uuid"].clone();
    let form = json!({"messaging_profile": profile, "tn": [12125550001_u64, "+12125550002"]});
    let added = world.post("/rest/sms/optout", form).expect(201).await;
    assert_eq!(added.as_array().unwrap().len(), 2);
    assert_eq!((&added[0]["source"], &added[0]["keyword"]), (&json!("account"), &Value::Null));
    world.post("/rest/sms/optout", json!({"tn": 12125550001_u64})).expect(201).await;
    let path = format!("/rest/sms/optout?messaging_profile={}&take=1", profile.as_str().unwrap());
    let page = world.get(&path).expect(200).await;
    assert_eq!((page["total"].clone(), page["data"].as_array().unwrap().len()), (json!(2), 1));
    let rest = world.get(&format!("{path}&cursor={}", page["next_cursor"].as_str().unwrap())).expect(200).await;
    assert_ne!(rest["data"][0]["tn"], page["data"][0]["tn"]);
    assert_eq!(world.get("/rest/sms/optout?tn=*0001&source=account").expect(200).await["total"], 2);
    let stranger = world.stranger().await;
    let theirs = json!({"messaging_profile": profile, "tn": 12125550001_u64});
    world.post("/rest/sms/optout", theirs.clone()).by(&stranger).expect(401).await;
    assert_eq!(world.get("/rest/sms/optout").by(&stranger).expect(200).await["total"], 0);
    let removed = world.call(http::Method::DELETE, "/rest/sms/optout").json(&theirs).expect(200).await;
    assert_eq!(removed, json!({"removed": 1}));
    world.post("/rest/sms/optout", json!({"tn": "nobody"})).expect(422).await;
    world.post("/rest/sms/optout", json!({})).expect(422).await;
}

#[tokio::test]
async fn the_message_log_is_exported() {
    let world = World::new().await;
    world.lease(&world.me, MINE).await;
    for text in ["one", "two, \"three\""] {
        world.post("/rest/sms", json!({"from": MINE, "to": 12125550001_u64, "message": text})).expect(201).await;
    }
    let answer = world.post("/rest/sms/search", json!({"message": "two*"})).header("accept", "text/csv").send().await;
    assert_eq!(answer.status, 200);
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/csv"));
    let lines: Vec<&str> = answer.text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("uuid,type,created_on,modified_on,from,to,message,state,"), "{}", lines[0]);
    assert!(lines[1].contains(",12015550100,12125550001,\"two, \"\"three\"\"\",created,false,"), "{}", lines[1]);
}

#[tokio::test]
async fn refusals_of_messages_carry_the_products_code() {
    let world = World::new().await;
    world.lease(&world.me, MINE).await;
    let form = json!({"from": MINE, "to": 12125550001_u64, "message": "Hello"});
    *world.messages.refuse.lock() = Some(ControlError::InsufficientBalance);
    let refused = world.post("/rest/sms", form.clone()).expect(402).await;
    assert_eq!(refused["code"], 405);
    let country = ControlError::Forbidden { code: 406, message: "Country Permission Violation".to_owned() };
    *world.messages.refuse.lock() = Some(country);
    assert_eq!(world.post("/rest/sms", form).expect(403).await["code"], 406);
}

#[tokio::test]
async fn the_message_log_is_searched_and_what_came_in_marked_as_read() {
    let world = World::new().await;
    world.lease(&world.me, MINE).await;
    world.post("/rest/sms", json!({"from": MINE, "to": 12125550001_u64, "message": "Out"})).expect(201).await;
    let inbound = world.store.sms().create(world.me.account.uuid, inbound_sms(MINE)).await.unwrap();
    assert_eq!(world.post("/rest/sms/search", json!({})).expect(200).await["total"], 2);
    let found = world.post("/rest/sms/search/inbound", json!({"readed": false, "from": "1212*"})).expect(200).await;
    assert_eq!(found["data"][0]["message"], "In");
    let path = format!("/rest/sms/inbound/{}", inbound.uuid);
    assert_eq!(world.patch(&path, json!({"readed": true})).expect(200).await["readed"], true);
    assert_eq!(world.post("/rest/sms/search/inbound", json!({"readed": false})).expect(200).await["total"], 0);
    let found = world.post("/rest/sms/search/outbound", json!({"state": "created", "message": "o*"})).expect(200).await;
    assert_eq!(found["total"], 1);
    // A mask may be a number, as the document says.
    assert_eq!(world.post("/rest/sms/search", json!({"message": 7})).expect(200).await["total"], 0);
    world.patch(&path, json!({"readed": "yes"})).expect(422).await;
    world.get(&format!("/rest/sms/{}", Uuid::new_v4())).expect(404).await;
}

#[tokio::test]
async fn the_simulated_network_texts_a_number_of_ours() {
    let world = World::new().await;
    let form = json!({"from": 12125550001_u64, "to": MINE, "text": "Hello back"});
    world.post("/rest/dev/sms", form.clone()).expect(404).await;
    world.lease(&world.me, MINE).await;
    world.post("/rest/dev/sms", form).expect(201).await;
    assert_eq!(*world.messages.dev_messages.lock(), [(12_125_550_001, MINE, "Hello back".to_owned())]);
    let form = json!({"from": 12125550001_u64, "to": MINE, "message": "Hello again"});
    world.post("/rest/dev/sms", form).expect(201).await;
    world.post("/rest/dev/sms", json!({"from": 12125550001_u64, "to": MINE})).expect(422).await;
}

#[tokio::test]
async fn a_messaging_profile_is_made_used_and_kept_while_in_use() {
    let world = World::new().await;
    let form = json!({"name": "news", "callback_url": "https://example.com/sms", "long_code_weight": 3});
    let profile = world.post("/rest/profile/messaging", form).expect(201).await;
    insta::assert_snapshot!(shown(&profile));
    let path = format!("/rest/profile/messaging/{}", profile["uuid"].as_str().unwrap());
    world.patch(&path, json!({"callback_url": "short", "long_code_weight": 10})).expect(422).await;
    assert_eq!(world.patch(&path, json!({"callback_url": null})).expect(200).await["callback_url"], Value::Null);
    let change = json!({
        "opt_out_keywords": ["arrêt"], "opt_out_message": "Au revoir", "help_message": "", "allowed_countries": ["fr"],
        "geo_match": true, "smart_encoding": false,
    });
    let changed = world.patch(&path, change).expect(200).await;
    assert_eq!((&changed["opt_out_keywords"], &changed["allowed_countries"]), (&json!(["arrêt"]), &json!(["FR"])));
    assert_eq!((&changed["opt_out_message"], &changed["help_message"]), (&json!("Au revoir"), &json!("")));
    assert_eq!(world.patch(&path, json!({"opt_out_message": null})).expect(200).await["opt_out_message"], Value::Null);
    world.patch(&path, json!({"opt_out_keywords": [""], "allowed_countries": ["France"]})).expect(422).await;
    // An answer that is a keyword itself could be answered for ever.
    let loops = world.patch(&path, json!({"help_message": "Stop!"})).expect(422).await;
    assert!(loops["fields"]["params.help_message"].is_object());
    world.lease(&world.me, MINE).await;
    world.patch(&format!("/rest/lease/tn/{MINE}"), json!({"messaging_profile": profile["uuid"]})).expect(200).await;
    assert_eq!(world.get(&format!("{path}/tnleases")).expect(200).await.as_array().unwrap().len(), 1);
    world.delete(&path).expect(409).await;
    world.patch(&format!("/rest/lease/tn/{MINE}"), json!({"messaging_profile": null})).expect(200).await;
    world.delete(&path).expect(200).await;
    assert_eq!(world.get("/rest/profile/messaging").expect(200).await, json!([]));
}

#[tokio::test]
async fn messages_between_sip_users_are_found_by_thread() {
    let world = World::new().await;
    let messages = world.store.sip_messages();
    let write = async |position: i64, from: &str, to: &str, thread: &str, reason: Option<&str>| {
        let new = NewSipMessage {
            sender: None,
            recipient: None,
            position,
            from: from.to_owned(),
            to: to.to_owned(),
            thread: thread.to_owned(),
            content_type: "text/plain".to_owned(),
            message: format!("number {position}"),
            hops: 70,
            waits_until: None,
            reason: reason.map(str::to_owned),
        };
        messages.create(world.me.account.uuid, new, None, 1).await.unwrap().unwrap()[0].uuid
    };
    let hello = write(1, "alice@home", "bob@home", "a1", None).await;
    write(2, "bob@home", "alice@home", "a1", Some("415 Unsupported Media Type")).await;
    write(3, "carol@home", "bob@home", "c1", None).await;

    let found = world.post("/rest/sip/message/search", json!({"thread": "a1"})).expect(200).await;
    assert_eq!(found["total"], 2);
    let failed = world.post("/rest/sip/message/search", json!({"state": "failed", "to": "alice@*"})).expect(200).await;
    assert_eq!(failed["data"][0]["reason"], "415 Unsupported Media Type");
    let path = format!("/rest/sip/message/{hello}");
    let one = world.get(&path).expect(200).await;
    assert_eq!((&one["type"], &one["message"], &one["delivered"]), (&json!("sip"), &json!("number 1"), &json!(true)));
    let stranger = world.stranger().await;
    world.get(&path).by(&stranger).expect(401).await;
    world.post("/rest/sip/message/search", json!({"state": "lost"})).expect(422).await;
}
