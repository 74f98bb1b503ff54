use chrono::{DateTime, TimeDelta, Utc};
use http::Method;
use opentact_api::{IceSettings, Settings};
use opentact_engine::ports::Registration;
use opentact_store::types::now;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{World, shown};

const FLOW: &str = "<Response><Answer/><Say>Good morning.</Say><Hangup/></Response>";

fn uuid(object: &Value) -> &str {
    object["uuid"].as_str().unwrap()
}

#[tokio::test]
async fn the_tech_prefix_of_a_call_is_that_of_what_it_goes_through() {
    let world = World::new().await;
    let lease = world.lease(&world.me, 12_015_550_100).await;
    let lease = format!("/rest/lease/tn/{}", lease.uuid);
    world.post("/rest/sip/domain", json!({"domain": "home"})).expect(201).await;
    let prefix = async |tn: &str, status| world.get(&format!("/rest/sip/tech_prefix/{tn}/home")).expect(status).await;
    assert_eq!(prefix("12125550001", 404).await["message"], "Tech prefix not found");
    let out = world.post("/rest/profile/outbound_voice", json!({"name": "out"})).expect(201).await;
    world.patch("/rest/sip/domain/home", json!({"outbound_voice_profile": out["uuid"]})).expect(200).await;
    let through = prefix("+12125550001", 200).await;
    assert_eq!(
        through,
        json!({"tn": 12_125_550_001_u64, "domain": "home.sip.localhost", "tech_prefix": out["tech_prefix"]})
    );

    prefix("12015550100", 404).await;
    let app = world.post("/rest/sip/app", json!({"name": "menu"})).expect(201).await;
    world.patch(&lease, json!({"sip_control_app": app["uuid"]})).expect(200).await;
    assert_eq!(prefix("12015550100", 200).await["tech_prefix"], app["tech_prefix"]);
    let trunk = world.post("/rest/sip/connection", json!({"name": "pbx", "ip": "192.0.2.7"})).expect(201).await;
    world.patch(&lease, json!({"sip_connection": trunk["uuid"]})).expect(200).await;
    assert_eq!(prefix("12015550100", 200).await["tech_prefix"], trunk["tech_prefix"]);
    let wrong = prefix("nobody", 422).await;
    assert_eq!(wrong["fields"]["path.tn"]["value"], "nobody");
}

#[tokio::test]
async fn an_app_is_made_read_changed_and_deleted() {
    let world = World::new().await;
    let app = world
        .post("/rest/sip/app", json!({"name": "greeting", "product": 1, "webhook_url": "https://example.com/hook", "class4_ingress_trunk_settings": {}}))
        .expect(201)
        .await;
    insta::assert_snapshot!(shown(&app));
    let path = format!("/rest/sip/app/{}", uuid(&app));
    assert_eq!(world.get(&path).expect(200).await, app);
    assert_eq!(world.get("/rest/sip/app").expect(200).await, json!([app]));
    let changed = world.patch(&path, json!({"webhook_url": null, "auto_answer": true})).expect(200).await;
    assert_eq!((changed["webhook_url"].clone(), changed["auto_answer"].clone()), (Value::Null, json!(true)));
    assert_eq!(changed["name"], "greeting");
    let codecs = json!(["G722", "PCMU"]);
    assert_eq!(world.patch(&path, json!({"codecs": codecs})).expect(200).await["codecs"], codecs);
    world.patch(&path, json!({"codecs": ["GSM"]})).expect(422).await;
    world.delete(&path).expect(200).await;
    world.get(&path).expect(404).await;
    world.delete(&path).expect(404).await;
}

#[tokio::test]
async fn a_wrong_app_is_told_all_that_is_wrong() {
    let world = World::new().await;
    let wrong = json!({
        "name": "", "is_active": "yes", "max_call_length_min": 0, "shaken_verify_policy": 4,
        "shaken_minimum_accepted_attest_lvl": "D", "call_flow_url": "not a url", "call_flow_method": "PUT",
        "webhook_request_timeout": -1,
    });
    let wrong = world.post("/rest/sip/app", wrong).expect(422).await;
    insta::assert_snapshot!(shown(&wrong));
    let missing = world.post("/rest/sip/app", json!({"name": "x", "product": 99})).expect(404).await;
    assert_eq!(missing["message"], "SIP Product not found");
}

#[tokio::test]
async fn browsers_are_told_of_turn_servers_with_a_password_of_the_account() {
    let turn = "turn:turn.example.com?transport=udp".to_owned();
    let ice =
        IceSettings { servers: vec![turn.clone()], turn_secret: Some("north".to_owned()), ..IceSettings::default() };
    let world = World::with(Settings { ice, ..Settings::default() }).await;
    let told = world.get("/rest/sip/ice_server").expect(200).await;
    let server = &told["ice_servers"][0];
    assert_eq!(server["urls"], json!([turn]));
    let (until, user) = server["username"].as_str().unwrap().split_once(':').unwrap();
    assert_eq!(user, world.me.account.uuid.to_string());
    let until = DateTime::from_timestamp(until.parse().unwrap(), 0).unwrap();
    assert!(until > Utc::now() && told["expires_on"].as_str().unwrap().starts_with(&until.format("%FT%T").to_string()));
    assert!(!told.to_string().contains("north"));
}

#[tokio::test]
async fn a_trunk_keeps_what_is_done_with_its_calls() {
    let world = World::new().await;
    let trunk = json!({
        "name": "provider", "hostname": "sip.example.com", "username": "u", "password": "p", "authenticate": true,
        "sources": ["192.0.2.0/24", "2001:db8::1", "out.example.com"], "codecs": ["PCMA"],
        "number_rules": [{"direction": "out", "party": "called", "prefix": "+", "strip": 1, "prepend": "00"}],
        "pass_headers": ["X-*", "User-to-User"], "failover_codes": [404, 503], "progress_timeout": 4,
    });
    let made = world.post("/rest/sip/connection", trunk.clone()).expect(201).await;
    for field in ["sources", "authenticate", "codecs", "pass_headers", "failover_codes", "progress_timeout"] {
        assert_eq!(made[field], trunk[field], "{field}");
    }
    assert_eq!(made["number_rules"][0]["prepend"], "00");
    assert_eq!(made["ring_timeout"], Value::Null);
    let path = format!("/rest/sip/connection/{}", uuid(&made));
    let change = json!({"failover_codes": null, "ring_timeout": 20, "number_rules": [], "sources": []});
    let changed = world.patch(&path, change).expect(200).await;
    assert_eq!((changed["failover_codes"].clone(), changed["ring_timeout"].clone()), (Value::Null, json!(20)));
    assert_eq!((changed["number_rules"].clone(), changed["pass_headers"][0].clone()), (json!([]), json!("X-*")));

    let profile = json!({"name": "group", "sip_connections": [uuid(&made)]});
    let profile = world.post("/rest/profile/outbound_voice", profile).expect(201).await;
    assert_eq!(profile["sip_connections"], json!([uuid(&made)]));
    world.delete(&path).expect(409).await;
    let path = format!("/rest/profile/outbound_voice/{}", uuid(&profile));
    world.patch(&path, json!({"sip_connections": []})).expect(200).await;
    world.patch(&path, json!({"sip_connections": [Uuid::new_v4()]})).expect(404).await;
    world.delete(&format!("/rest/sip/connection/{}", uuid(&made))).expect(200).await;
}

#[tokio::test]
async fn a_wrong_trunk_is_told_all_that_is_wrong() {
    let world = World::new().await;
    let wrong = json!({
        "name": "x", "authenticate": true, "srtp": true, "codecs": ["GSM"], "sources": ["10.0.0.0/8", "ok.example.com"],
        "pass_headers": ["Via", "X-Y"], "failover_codes": [200], "progress_timeout": 33, "ring_timeout": 0,
        "number_rules": [{"direction": "up", "party": "called", "prefix": "abc"}],
    });
    let wrong = world.post("/rest/sip/connection", wrong).expect(422).await;
    let fields: Vec<&String> = wrong["fields"].as_object().unwrap().keys().collect();
    let expected = [
        "params.codecs[0]",
        "params.failover_codes[0]",
        "params.ip",
        "params.number_rules[0].direction",
        "params.number_rules[0].prefix",
        "params.pass_headers[0]",
        "params.password",
        "params.progress_timeout",
        "params.ring_timeout",
        "params.sources[0]",
        "params.srtp",
        "params.username",
    ];
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn an_app_of_another_account_is_not_to_be_seen() {
    let world = World::new().await;
    let stranger = world.stranger().await;
    let app = world.post("/rest/sip/app", json!({"name": "mine"})).expect(201).await;
    let path = format!("/rest/sip/app/{}", uuid(&app));
    assert_eq!(world.get(&path).by(&stranger).expect(401).await["message"], "Forbidden");
    world.patch(&path, json!({"name": "theirs"})).by(&stranger).expect(401).await;
    world.delete(&path).by(&stranger).expect(401).await;
    let flow = format!("/rest/sip/app/call/flow/{}", uuid(&app));
    world.call(Method::POST, &flow).body("application/xml", FLOW).by(&stranger).expect(401).await;
    world.get(&format!("{path}/tnlease")).by(&stranger).expect(401).await;
    assert_eq!(world.get("/rest/sip/app").by(&stranger).expect(200).await, json!([]));
}

#[tokio::test]
async fn a_static_flow_is_taken_in_three_forms() {
    let world = World::new().await;
    let app = world.post("/rest/sip/app", json!({"name": "greeting"})).expect(201).await;
    let path = format!("/rest/sip/app/call/flow/{}", uuid(&app));
    world.get(&path).expect(404).await;
    let stored = world.call(Method::POST, &path).body("application/xml", FLOW).send().await;
    assert_eq!(stored.status, 200);
    assert_eq!(stored.json["payload"], FLOW);
    assert_eq!(stored.json["url"], format!("https://127.0.0.1:8443{path}"));
    world.post(&path, json!({"xml": FLOW})).expect(200).await;
    let multipart = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.xml\"\r\nContent-Type: text/xml\r\n\r\n{FLOW}\r\n--b--\r\n"
    );
    world.call(Method::POST, &path).body("multipart/form-data; boundary=b", multipart).expect(200).await;
    assert_eq!(world.get(&path).expect(200).await, json!(FLOW));
    let empty = "--b\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nx\r\n--b--\r\n";
    world.call(Method::POST, &path).body("multipart/form-data; boundary=b", empty).expect(422).await;
    world.call(Method::POST, &path).body("text/plain", FLOW).expect(400).await;
    world.delete(&path).expect(200).await;
    world.get(&path).expect(404).await;
}

#[tokio::test]
async fn a_broken_flow_is_told_line_and_column_of_each_fault() {
    let world = World::new().await;
    let app = world.post("/rest/sip/app", json!({"name": "greeting"})).expect(201).await;
    let path = format!("/rest/sip/app/call/flow/{}", uuid(&app));
    let broken = "<Response>\n  <Sya>Hello</Sya>\n  <Pause length=\"soon\"/>\n</Response>";
    let wrong = world.call(Method::POST, &path).body("application/xml", broken).expect(422).await;
    insta::assert_snapshot!(shown(&wrong));
    world.get(&path).expect(404).await;
}

#[tokio::test]
async fn numbers_are_given_to_an_app_which_then_stays() {
    let world = World::new().await;
    let app = world.post("/rest/sip/app", json!({"name": "greeting"})).expect(201).await;
    let lease = world.lease(&world.me, 12_015_550_100).await;
    let other = world.lease(&world.stranger().await, 12_015_550_101).await;
    let path = format!("/rest/sip/app/{}/tnlease", uuid(&app));
    world.post(&path, json!({"add": [lease.uuid, other.uuid]})).expect(401).await;
    assert_eq!(world.get(&path).expect(200).await, json!([]));
    let assigned = world.post(&path, json!({"add": [lease.uuid]})).expect(200).await;
    assert_eq!(assigned[0]["tn"]["tn"], 12_015_550_100_u64);
    let in_use = world.delete(&format!("/rest/sip/app/{}", uuid(&app))).expect(409).await;
    assert_eq!(in_use["message"], "SIP Control app is in use by TNLease");
    assert_eq!(world.post(&path, json!({"remove": [lease.uuid]})).expect(200).await, json!([]));
    world.delete(&format!("/rest/sip/app/{}", uuid(&app))).expect(200).await;
}

#[tokio::test]
async fn a_connection_is_made_and_its_password_never_shown() {
    let world = World::new().await;
    let form = json!({"name": "pbx", "hostname": "PBX.example.com", "port": 5080, "transport": "tls", "username": "u", "password": "secret", "register": true});
    let trunk = world.post("/rest/sip/connection", form).expect(201).await;
    insta::assert_snapshot!(shown(&trunk));
    assert!(!trunk.to_string().contains("secret"));
    let path = format!("/rest/sip/connection/{}", uuid(&trunk));
    let changed =
        world.patch(&path, json!({"ip": "192.0.2.7", "hostname": null, "channel_limit": 10})).expect(200).await;
    assert_eq!((changed["ip"].clone(), changed["hostname"].clone()), (json!("192.0.2.7"), Value::Null));
    let wrong = world.patch(&path, json!({"ip": null})).expect(422).await;
    assert_eq!(wrong["fields"]["params.ip"]["message"], "either ip or hostname is required");
    let lease = world.lease(&world.me, 12_015_550_100).await;
    let assigned = world.post(&format!("{path}/tnlease"), json!({"add": [lease.uuid]})).expect(200).await;
    assert_eq!(assigned, json!([lease.uuid]));
    world.delete(&path).expect(409).await;
    let wrong = json!({"name": "x", "ip": "10.0.0.256", "port": 0, "transport": "sctp", "register": true});
    let wrong = world.post("/rest/sip/connection", wrong).expect(422).await;
    insta::assert_snapshot!(shown(&wrong["fields"]));
}

#[tokio::test]
async fn a_domain_holds_users_with_their_registrations() {
    let world = World::new().await;
    let profile = world.post("/rest/profile/outbound_voice", json!({"name": "out"})).expect(201).await;
    let form = json!({"domain": "Home", "outbound_voice_profile": profile["uuid"]});
    let domain = world.post("/rest/sip/domain", form).expect(201).await;
    insta::assert_snapshot!(shown(&domain));
    world.post("/rest/sip/domain", json!({"domain": "home"})).by(&world.stranger().await).expect(409).await;
    let users = "/rest/sip/domain/home/user";
    let user = world.post(users, json!({"login": "phone", "password": "very secret"})).expect(201).await;
    insta::assert_snapshot!(shown(&user));
    assert!(!user.to_string().contains("secret"));
    let one = Registration {
        contact: "sip:phone@192.0.2.9:5060".to_owned(),
        user_agent: "baresip".to_owned(),
        transport: "udp",
        expires_on: now() + TimeDelta::hours(1),
    };
    let id = Uuid::parse_str(uuid(&user)).unwrap();
    world.calls.registrations.lock().push((id, one));
    let listed = world.get("/rest/sip/domain/home.sip.localhost/user").expect(200).await;
    assert_eq!(
        (listed[0]["state"].clone(), listed[0]["registrations"][0]["user_agent"].clone()),
        (json!("online"), json!("baresip"))
    );
    let path = format!("{users}/{}", uuid(&user));
    let changed = world.patch(&path, json!({"first_name": "Ada", "is_active": false})).expect(200).await;
    assert_eq!((changed["first_name"].clone(), changed["is_active"].clone()), (json!("Ada"), json!(false)));
    world.patch(&path, json!({"login": "other"})).expect(422).await;
    world.patch(&path, json!({"login": "other", "password": "very secret"})).expect(200).await;
    world.post(users, json!({"login": "other", "password": "very secret"})).expect(409).await;
    let wrong = world.post(users, json!({"login": "a b", "password": "long enough"})).expect(422).await;
    assert!(wrong["fields"]["params.login"]["message"].as_str().unwrap().starts_with("must be letters"));
    world.delete("/rest/sip/domain/home").expect(409).await;
    world.delete(&path).expect(200).await;
    world.get(&path).expect(404).await;
    world.delete("/rest/sip/domain/home").expect(200).await;
    world.get("/rest/sip/domain/home").expect(404).await;
}

#[tokio::test]
async fn a_domain_of_another_account_is_not_to_be_seen() {
    let world = World::new().await;
    let stranger = world.stranger().await;
    world.post("/rest/sip/domain", json!({"domain": "home"})).expect(201).await;
    let user = json!({"login": "phone", "password": "very secret"});
    let user = world.post("/rest/sip/domain/home/user", user).expect(201).await;
    world.get("/rest/sip/domain/home").by(&stranger).expect(401).await;
    world.get("/rest/sip/domain/home/user").by(&stranger).expect(401).await;
    // Nor through a domain of one's own.
    world.post("/rest/sip/domain", json!({"domain": "theirs"})).by(&stranger).expect(201).await;
    world.get(&format!("/rest/sip/domain/theirs/user/{}", uuid(&user))).by(&stranger).expect(401).await;
    for label in ["", "a.b", "-a", "a_b", &"x".repeat(64)] {
        world.post("/rest/sip/domain", json!({"domain": label})).expect(422).await;
    }
}

#[tokio::test]
async fn an_outbound_voice_profile_has_its_caller_number() {
    let world = World::new().await;
    let lease = world.lease(&world.me, 12_015_550_100).await;
    let form = json!({"name": "out", "tn_lease": lease.uuid, "max_rate": 0.0125, "daily_spend_limit": "20", "allowed_countries": ["us", "ca"]});
    world.post("/rest/profile/outbound_voice", form).expect(422).await;
    let form = json!({"name": "out", "tn_lease": lease.uuid, "max_rate": 0.0125, "daily_spend_limit": 20, "allowed_countries": ["us", "ca"]});
    let profile = world.post("/rest/profile/outbound_voice", form).expect(201).await;
    insta::assert_snapshot!(shown(&profile));
    let path = format!("/rest/profile/outbound_voice/{}", uuid(&profile));
    let changed = world.patch(&path, json!({"tn_lease": null, "max_rate": null})).expect(200).await;
    assert_eq!((changed["tn_lease"].clone(), changed["max_rate"].clone()), (Value::Null, Value::Null));
    let wrong = world.patch(&path, json!({"allowed_countries": ["us", "usa"]})).expect(422).await;
    assert!(wrong["fields"]["params.allowed_countries[1]"].is_object());
    let other = world.lease(&world.stranger().await, 12_015_550_101).await;
    world.patch(&path, json!({"tn_lease": other.uuid})).expect(404).await;
    world.delete(&path).expect(200).await;
    assert_eq!(world.get("/rest/profile/outbound_voice").expect(200).await, json!([]));
}

#[tokio::test]
async fn product_1_always_exists() {
    let world = World::new().await;
    let products = world.get("/rest/sip/product").expect(200).await;
    assert_eq!((products[0]["id"].clone(), products[0]["name"].clone()), (json!(1), json!("default")));
}

#[tokio::test]
async fn a_domain_has_switches_that_are_told_by_address_or_name() {
    let world = World::new().await;
    world.post("/rest/sip/domain", json!({"domain": "home"})).expect(201).await;
    world.post("/rest/sip/domain", json!({"domain": "other"})).expect(201).await;
    let switches = "/rest/sip/domain/home/switch";
    let switch = json!({"name": "pbx", "description": "in the cellar", "remote_ip": "192.0.2.0/28", "remote_domain": "PBX.example.com"});
    let switch = world.post(switches, switch).expect(201).await;
    insta::assert_snapshot!(shown(&switch));
    assert_eq!(world.calls.invalidated.lock().len(), 3);
    assert_eq!(world.get(switches).expect(200).await, json!([switch]));
    let path = format!("{switches}/{}", uuid(&switch));
    assert_eq!(world.get(&path).expect(200).await, switch);
    let change = json!({"remote_ip": null, "is_active": false, "name": "old pbx", "description": null});
    let changed = world.patch(&path, change).expect(200).await;
    assert_eq!(
        (&changed["remote_ip"], &changed["is_active"], &changed["name"]),
        (&Value::Null, &json!(false), &json!("old pbx"))
    );
    let wrong = world.patch(&path, json!({"remote_domain": null})).expect(422).await;
    assert_eq!(wrong["fields"]["params.remote_ip"]["message"], "either remote_ip or remote_domain is required");
    let wrong = json!({"name": "", "remote_ip": "10.0.0.0/8", "remote_domain": "no name"});
    let wrong = world.post(switches, wrong).expect(422).await;
    let fields: Vec<&String> = wrong["fields"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["params.name", "params.remote_domain", "params.remote_ip"]);
    // Not by another domain of the account, nor by another account.
    world.get(&format!("/rest/sip/domain/other/switch/{}", uuid(&switch))).expect(404).await;
    let stranger = world.stranger().await;
    world.get(&path).by(&stranger).expect(401).await;
    world.post(switches, json!({"name": "x", "remote_ip": "192.0.2.1"})).by(&stranger).expect(401).await;
    let in_use = world.delete("/rest/sip/domain/home").expect(409).await;
    assert_eq!(in_use["message"], "SIP Domain is in use by SIP Switch");
    world.delete(&path).expect(200).await;
    world.get(&path).expect(404).await;
    world.delete("/rest/sip/domain/home").expect(200).await;
}

#[tokio::test]
async fn a_domain_has_groups_of_its_users() {
    let world = World::new().await;
    for domain in ["home", "other"] {
        world.post("/rest/sip/domain", json!({"domain": domain})).expect(201).await;
    }
    let mut users = Vec::new();
    for path in ["/rest/sip/domain/home/user", "/rest/sip/domain/home/user", "/rest/sip/domain/other/user"] {
        let user = json!({"login": format!("u{}", users.len()), "password": "very secret"});
        users.push(world.post(path, user).expect(201).await["uuid"].clone());
    }
    let groups = "/rest/sip/domain/home/group";
    let group = world.post(groups, json!({"name": "desk", "users": [users[0], users[1], users[0]]})).expect(201).await;
    insta::assert_snapshot!(shown(&group));
    assert_eq!(world.get(groups).expect(200).await, json!([group]));
    let path = format!("{groups}/{}", uuid(&group));
    world.patch(&path, json!({"users": [users[2]]})).expect(404).await;
    let wrong = world.post(groups, json!({"name": "ab", "users": vec![users[0].clone(); 21]})).expect(422).await;
    let fields: Vec<&String> = wrong["fields"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["params.name", "params.users"]);
    // A user who goes leaves the group.
    world.delete(&format!("/rest/sip/domain/home/user/{}", users[0].as_str().unwrap())).expect(200).await;
    let left = world.get(&path).expect(200).await;
    assert_eq!((left["users"].as_array().unwrap().len(), &left["users"][0]["uuid"]), (1, &users[1]));
    let changed = world.patch(&path, json!({"name": "front desk", "users": []})).expect(200).await;
    assert_eq!((&changed["name"], &changed["users"]), (&json!("front desk"), &json!([])));
    world.get(&path).by(&world.stranger().await).expect(401).await;
    world.get(&format!("/rest/sip/domain/other/group/{}", uuid(&group))).expect(404).await;
    world.delete(&format!("/rest/sip/domain/home/user/{}", users[1].as_str().unwrap())).expect(200).await;
    assert_eq!(
        world.delete("/rest/sip/domain/home").expect(409).await["message"],
        "SIP Domain is in use by SIPUserGroup"
    );
    world.delete(&path).expect(200).await;
    world.delete("/rest/sip/domain/home").expect(200).await;
}
