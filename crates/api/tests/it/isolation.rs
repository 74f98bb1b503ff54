//! That no account reaches what another one has: for every operation of the document that names an object in its path,
//! the credentials of another account get 401 or 404, and nothing has changed. An operation without an object here fails.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use http::Method;
use opentact_api::{RateLimit, Settings};
use opentact_events::{EventType, Filter};
use opentact_store::events::Batch;
use opentact_store::sip_messages::NewSipMessage;
use opentact_store::transcripts::Transcript;
use opentact_store::types::CallState;
use serde_json::{Value, json};

use crate::avatars::PNG;
use crate::document::{heeds, is_open, operations};
use crate::world::{Answer, Call, PASSWORD, Tenant, World, call_record, ha1b, inbound_sms, stored_record, tell};

const FLOW: &str = "<Response><Answer/><Hangup/></Response>";
const APP_GROUP: &str = "/rest/app/group/{uuid}";
const DOMAIN: &str = "/rest/sip/domain/{domain}";
const TN: u64 = 12_015_550_100;

/// Paths whose parameter is nobody's in particular, and why.
const COMMON: &[(&str, &str)] = &[
    ("/avatar/{file}", "an image is shown to whoever has its URL"),
    ("/rest/app/invite/{token}", "whoever has the token is invited"),
    ("/rest/lookup/{tn}", "facts of numbers are the same for all"),
    ("/rest/admin/schedule/{action}", "what the operator has done, of all accounts"),
    ("/rest/profile/tn/{uuid}", "prices are the same for all"),
    ("/rest/transaction/report/dashboard/{ref_type}", "a kind of charge, of the caller's own"),
    ("/shaken/{file}", "certificates are published"),
];

/// What may stand for each parameter, by the path up to and with it. The first is what the owner says.
type Objects = BTreeMap<&'static str, Vec<String>>;

/// Who asks, as a user of an account and as a SIP user of it.
struct Who {
    tenant: Tenant,
    ha1b: String,
}

impl Who {
    /// Makes a domain with a SIP user who has made a group, which are returned too.
    async fn new(world: &World, tenant: Tenant, domain: &str) -> (Who, Vec<String>, Vec<String>) {
        world.post("/rest/sip/domain", json!({"domain": domain})).by(&tenant).expect(201).await;
        let user = json!({"login": "mobile", "password": PASSWORD});
        let user = world.post(&format!("/rest/sip/domain/{domain}/user"), user).by(&tenant).expect(201).await;
        let who = Who { tenant, ha1b: ha1b("mobile", domain, PASSWORD) };
        let group = world.post("/rest/app/group", json!({"name": "friends"})).phone(&who.ha1b).expect(201).await;
        (who, id(&user), id(&group))
    }

    fn ask<'a>(&self, call: Call<'a>, template: &str) -> Call<'a> {
        if template.starts_with("/rest/app") { call.phone(&self.ha1b) } else { call.by(&self.tenant) }
    }
}

fn id(object: &Value) -> Vec<String> {
    vec![object["uuid"].as_str().unwrap().to_owned()]
}

/// One of each kind that an account can have.
async fn objects(world: &World) -> (Who, Objects) {
    let account = world.me.account.uuid;
    let make = async |path: &str, form: Value| world.post(path, form).expect(201).await;

    let person = json!({"email": "grace@example.com", "password": PASSWORD});
    let person = id(&make("/rest/account/user", person).await);
    let hours = json!({"type": "weekends", "dow": "sun", "time_from": 0, "time_to": 86_399});
    let hours = id(&make("/rest/account/office_hours", hours).await);
    let address = json!({
        "name": "Head office", "is_physical": true, "is_billing": true, "is_shipping": false,
        "address1": "Domkloster 4", "zip_code": "50667", "city": "Köln", "country": "DE",
    });
    let address = id(&make("/rest/address", address).await);
    let cart = id(&make("/rest/user/cart", json!({"payload": {"tn": TN}})).await);
    let token = id(&make("/rest/token", json!({"name": "spare"})).await);

    let lease = world.lease(&world.me, TN).await;
    let lease = vec![lease.uuid.to_string(), TN.to_string()];
    let filter = id(&make("/rest/tn_profile", json!({"name": "no spam"})).await);
    let offers = world.post("/rest/tn/search", json!({"npa": 201, "take": 1})).expect(200).await;
    let mut told = world.hub.subscribe(account, None, Filter::types([EventType::TnOrder]));
    let order = json!({"items": [{"tn": offers["data"][0]["tn"]}]});
    let order = id(&make("/rest/order", order).await);
    while !told.recv().await.unwrap().body.contains(r#""state":"success""#) {}

    let app = id(&make("/rest/sip/app", json!({"name": "greeting"})).await);
    world.post(&format!("/rest/sip/app/call/flow/{}", app[0]), json!({"xml": FLOW})).expect(200).await;
    let trunk = id(&make("/rest/sip/connection", json!({"name": "pbx", "ip": "192.0.2.7"})).await);
    let (who, mobile, friends) = Who::new(world, world.me.clone(), "home").await;
    let invite = json!({"name": "newcomers", "expired_on": "2099-01-01T00:00:00Z"});
    let invite = id(&make("/rest/sip/domain/home/invite", invite).await);
    let phone = json!({"login": "phone", "password": "very secret"});
    let phone = id(&make("/rest/sip/domain/home/user", phone).await);
    let group = id(&make("/rest/sip/domain/home/group", json!({"name": "sales", "users": phone})).await);
    let switch = json!({"name": "desk", "remote_ip": "192.0.2.8"});
    let switch = id(&make("/rest/sip/domain/home/switch", switch).await);
    let message = NewSipMessage {
        sender: None,
        recipient: None,
        position: 1,
        from: "alice@home".to_owned(),
        to: "bob@home".to_owned(),
        thread: "a1".to_owned(),
        content_type: "text/plain".to_owned(),
        message: "hello".to_owned(),
        hops: 70,
        waits_until: None,
        reason: None,
    };
    let message = world.store.sip_messages().create(account, message, None, 1).await.unwrap().unwrap()[0].uuid;
    let voice = id(&make("/rest/profile/outbound_voice", json!({"name": "out"})).await);
    world.patch("/rest/sip/domain/home", json!({"outbound_voice_profile": voice[0]})).expect(200).await;
    let messaging = id(&make("/rest/profile/messaging", json!({"name": "texts"})).await);
    let certificate = json!({"name": "ours", "numbers": [TN]});
    let certificate = id(&make("/rest/shaken/certificate", certificate).await);

    let named = json!({
        "entityType": "NON_PROFIT", "displayName": "Engines", "companyName": "Engines Inc", "ein": "123456789",
        "phone": "+12065550100", "email": "ada@example.com", "country": "US", "vertical": "NGO",
    });
    let named = || serde_json::from_value(named.clone()).unwrap();
    let brand = world.store.brands().create(account, None, named()).await.unwrap().uuid;
    let of_campaign = world.store.brands().create(account, None, named()).await.unwrap().uuid;
    let text = "One-time codes for customers who sign in to their account";
    let campaign = json!({"usecase": "2FA", "description": text, "messageFlow": text, "sample1": text});
    let campaign = serde_json::from_value(campaign).unwrap();
    let campaign = world.store.campaigns().create(account, None, of_campaign, campaign).await.unwrap().uuid;

    let call = call_record(account, CallState::Live, "12125550001");
    world.store.calls().save(call.clone()).await.unwrap();
    world.calls.live.lock().push(call.clone());
    let call = vec![call.uuid.to_string()];
    let record = stored_record(account, call[0].parse().unwrap());
    let file = world.folder.path().join(account.to_string()).join(format!("{}.wav", record.uuid));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, "RIFF").unwrap();
    world.store.records().save(record.clone()).await.unwrap();
    let transcripts = vec![Transcript::waiting(&record, "en-US".to_owned())];
    world.store.events().commit(Batch { transcripts, ..Batch::default() }).await.unwrap();
    let batch = json!({"phones": [12125550001_u64], "xml": FLOW, "from": TN});
    let batch = id(&make("/rest/batch", batch).await);

    let sent = id(&make("/rest/sms", json!({"from": TN, "to": 12125550001_u64, "message": "Out"})).await);
    let received = world.store.sms().create(account, inbound_sms(TN)).await.unwrap().uuid;
    let hook = json!({"type": "balance", "channel": "webhook", "url": "https://example.com/told"});
    let subscription = id(&make("/rest/event/subscription", hook).await);
    tell(&world.hub, &world.me, "told");
    world.hub.flush().await;
    let delivery = world.get("/rest/webhook/delivery").expect(200).await["data"][0].clone();
    let transaction = world.post("/rest/transaction/search", json!({})).expect(200).await["data"][0].clone();

    let home = vec!["home".to_owned(), "home.sip.localhost".to_owned()];
    let objects = BTreeMap::from([
        ("/rest/account/{uuid}", vec![account.to_string()]),
        ("/rest/account/office_hours/{uuid}", hours),
        ("/rest/account/user/{uuid}", person.clone()),
        ("/rest/address/{uuid}", address),
        (APP_GROUP, friends),
        ("/rest/app/group/{uuid}/users/{sip_user_uuid}", mobile),
        ("/rest/batch/{uuid}", batch),
        ("/rest/call/sca/{uuid}", call.clone()),
        ("/rest/call/{uuid}", call.clone()),
        ("/rest/event/subscription/{uuid}", subscription),
        ("/rest/lease/tn/{uuid}", lease),
        ("/rest/lease/tn/{uuid}/subscription/{feature}", vec!["sms".to_owned()]),
        ("/rest/order/{uuid}", order),
        ("/rest/profile/messaging/{uuid}", messaging),
        ("/rest/profile/outbound_voice/{uuid}", voice),
        ("/rest/record/{uuid}", vec![record.uuid.to_string()]),
        ("/rest/shaken/certificate/{uuid}", certificate),
        ("/rest/sip/app/call/flow/{uuid}", app.clone()),
        ("/rest/sip/app/call/{uuid}", call),
        ("/rest/sip/app/{uuid}", app),
        ("/rest/sip/connection/{uuid}", trunk),
        (DOMAIN, home.clone()),
        ("/rest/sip/domain/{domain}/group/{uuid}", group),
        ("/rest/sip/domain/{domain}/invite/{uuid}", invite),
        ("/rest/sip/domain/{domain}/switch/{uuid}", switch),
        ("/rest/sip/domain/{domain}/user/{uuid}", phone),
        ("/rest/sip/message/{uuid}", vec![message.to_string()]),
        ("/rest/sip/tech_prefix/{tn}", vec!["12125550001".to_owned()]),
        ("/rest/sip/tech_prefix/{tn}/{domain}", home),
        ("/rest/sms/inbound/{uuid}", vec![received.to_string()]),
        ("/rest/sms/outbound/{uuid}", sent.clone()),
        ("/rest/sms/{uuid}", sent),
        ("/rest/tcr/brand/{uuid}", vec![brand.to_string()]),
        ("/rest/tcr/campaign/{uuid}", vec![campaign.to_string()]),
        ("/rest/tn_profile/{uuid}", filter),
        ("/rest/token/{token}", token),
        ("/rest/transaction/{uuid}", id(&transaction)),
        ("/rest/user/cart/{uuid}", cart),
        ("/rest/user/{uuid}", person),
        ("/rest/webhook/delivery/{uuid}", id(&delivery)),
    ]);
    (who, objects)
}

/// A body that the owner's request is done with; an object that nothing is asked of where none is listed.
fn body(method: &Method, template: &str, objects: &Objects) -> Value {
    let lease = &objects["/rest/lease/tn/{uuid}"][0];
    match (method.as_str(), template) {
        ("POST", "/rest/sip/app/{uuid}/tnlease" | "/rest/sip/connection/{uuid}/tnlease") => json!({"add": [lease]}),
        ("POST", "/rest/sip/app/call/flow/{uuid}" | "/rest/sip/app/call/{uuid}" | "/rest/call/sca/{uuid}") => {
            json!({"xml": FLOW})
        }
        ("POST", "/rest/app/group/{uuid}/users") => {
            json!({"users": objects["/rest/app/group/{uuid}/users/{sip_user_uuid}"]})
        }
        ("POST", "/rest/sip/domain/{domain}/invite") => {
            json!({"name": "theirs", "expired_on": "2099-01-01T00:00:00Z"})
        }
        ("POST", "/rest/sip/domain/{domain}/group") => json!({"name": "theirs"}),
        ("POST", "/rest/sip/domain/{domain}/switch") => json!({"name": "theirs", "remote_ip": "192.0.2.9"}),
        ("POST", "/rest/sip/domain/{domain}/user") => json!({"login": "theirs", "password": "very secret"}),
        ("POST", "/rest/tn_profile/{uuid}/blacklist" | "/rest/tn_profile/{uuid}/whitelist") => {
            json!({"add": ["1900*"]})
        }
        ("PATCH", "/rest/batch/{uuid}") => json!({"state": "paused"}),
        ("PATCH", "/rest/lease/tn/{uuid}") => json!({"autorenew": true}),
        ("PATCH", "/rest/sms/inbound/{uuid}") => json!({"readed": true}),
        ("PATCH", "/rest/user/cart/{uuid}") => json!({"payload": {}}),
        ("PATCH", "/rest/user/{uuid}" | "/rest/sip/domain/{domain}/user/{uuid}") => json!({"first_name": "Theirs"}),
        ("PATCH", _) => json!({"name": "theirs", "is_active": false}),
        _ => json!({}),
    }
}

/// The paths of a template with every choice of objects; `choose` gives what may stand for a parameter.
fn filled<'a>(template: &str, choose: impl Fn(&str) -> &'a [String]) -> Vec<String> {
    let (mut prefix, mut paths) = (String::new(), vec![String::new()]);
    for segment in template.split('/').skip(1) {
        prefix = format!("{prefix}/{segment}");
        let fixed = [segment.to_owned()];
        let choices: &[String] = if segment.starts_with('{') { choose(&prefix) } else { &fixed };
        let longer = |path: &String| choices.iter().map(|one| format!("{path}/{one}")).collect::<Vec<_>>();
        paths = paths.iter().flat_map(longer).collect();
    }
    paths
}

fn has_body(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(method)
}

fn request<'a>(world: &'a World, method: &Method, path: &str, template: &str, objects: &Objects) -> Call<'a> {
    let call = world.call(method.clone(), path);
    if method == Method::POST && template.ends_with("/avatar") {
        return call.body("image/png", PNG);
    }
    if has_body(method) { call.json(&body(method, template, objects)) } else { call }
}

/// All that the owner can read.
async fn all(world: &World, who: &Who, objects: &Objects) -> BTreeMap<String, String> {
    let mut read = BTreeMap::new();
    for (method, template) in operations() {
        // A new JWT, a new password for TURN.
        let differs =
            ["/rest/auth", "/rest/sip/ice_server"].contains(&template) || template.starts_with("/rest/health");
        if method != Method::GET || differs || COMMON.iter().any(|(path, _)| *path == template) {
            continue;
        }
        let path = filled(template, |prefix| &objects[prefix][..1]).remove(0);
        let answer = who.ask(world.get(&path), template).send().await;
        if answer.status.is_success() {
            read.insert(path, answer.text);
        }
    }
    read
}

#[tokio::test]
async fn nothing_of_an_account_is_reached_by_another() {
    let rate = RateLimit { account_per_minute: 1_500_000, address_per_minute: 1_500_000, ..Settings::default().rate };
    let world = World::with(Settings { rate, ..Settings::default() }).await;
    let (owner, objects) = objects(&world).await;
    let (stranger, _, group) = Who::new(&world, world.stranger().await, "theirs").await;
    let theirs = [(DOMAIN, vec!["theirs".to_owned()]), (APP_GROUP, group)];

    let mut named: Vec<(Method, &str)> = operations().filter(|(_, path)| path.contains('{')).collect();
    for (path, why) in COMMON {
        assert!(named.iter().any(|(_, template)| template == path), "{path} ({why}) is no path any more");
    }
    named.retain(|(_, template)| COMMON.iter().all(|(path, _)| path != template));
    for prefix in objects.keys() {
        assert!(named.iter().any(|(_, template)| template.starts_with(prefix)), "{prefix} is of no path any more");
    }
    for (method, template) in &named {
        filled(template, |prefix| {
            objects.get(prefix).unwrap_or_else(|| panic!("{method} {template}: make what it names"))
        });
    }
    let mine = |prefix: &str| -> &[String] { &objects[prefix] };

    let before = all(&world, &owner, &objects).await;
    for (method, template) in &named {
        let mut paths = filled(template, mine);
        if template.matches('{').count() > 1 {
            // Nor through what is the stranger's own.
            let own = |prefix: &str| theirs.iter().find(|(place, _)| *place == prefix).map(|(_, ids)| ids.as_slice());
            paths.extend(filled(template, |prefix| own(prefix).unwrap_or_else(|| mine(prefix))));
        }
        for path in paths {
            let what = format!("{method} {path}");
            let call = request(&world, method, &path, template, &objects);
            let answer = stranger.ask(call, template).send().await;
            assert!([401, 404].contains(&answer.status.as_u16()), "{what}: {} {}", answer.status, answer.text);
            assert!(answer.json["payload"].is_null(), "{what}: {}", answer.text);
        }
    }
    for (path, after) in all(&world, &owner, &objects).await {
        assert_eq!(before[&path], after, "{path} is not as it was");
    }
    assert!(world.calls.hung_up.lock().is_empty());

    // What was refused is there, and the owner may do all of it: what is deepest goes first.
    named.sort_by_key(|(method, template)| (order(method), Reverse(template.matches('/').count())));
    for (method, template) in &named {
        let path = filled(template, |prefix| &mine(prefix)[..1]).remove(0);
        let answer = owner.ask(request(&world, method, &path, template, &objects), template).send().await;
        let fine = answer.status.is_success() || answer.status == 409;
        assert!(fine, "{method} {path} by the owner: {} {}", answer.status, answer.text);
    }
}

/// What PATCH does not change but command, and why nobody's change is lost by it.
const COMMANDS: &[(&str, &str)] = &[
    ("/rest/batch/{uuid}", "paused, running, canceled: what cannot be is a 409"),
    ("/rest/sms/inbound/{uuid}", "read or not"),
];

/// A path with what the owner has; what is nobody's in particular has some name.
fn path_of(template: &str, objects: &Objects) -> String {
    let some = ["some".to_owned()];
    filled(template, |prefix| objects.get(prefix).map_or(&some, |all| &all[..1])).remove(0)
}

#[tokio::test]
async fn what_has_changed_meanwhile_is_not_written_over() {
    let world = World::new().await;
    let (owner, objects) = objects(&world).await;
    let can_be_read: Vec<&str> =
        operations().filter(|(method, _)| *method == Method::GET).map(|(_, template)| template).collect();
    let changes = operations().filter(|(method, template)| method == Method::PATCH && can_be_read.contains(template));
    let mut held = 0;
    for (method, template) in changes.filter(|(_, template)| COMMANDS.iter().all(|(path, _)| path != template)) {
        let path = path_of(template, &objects);
        let read = || owner.ask(world.get(&path), template);
        let tag = |answer: &Answer| {
            let tag = answer.headers.get("etag").unwrap_or_else(|| panic!("{path} has no ETag"));
            tag.to_str().unwrap().to_owned()
        };
        let known = tag(&read().send().await);
        let change = |tag: &str| {
            let change = request(&world, &method, &path, template, &objects).header("if-match", tag);
            owner.ask(change, template).send()
        };
        assert_eq!(change("\"old\"").await.status, 412, "{path}");
        let unchanged = read().header("if-none-match", &format!("\"old\", {known}")).send().await;
        assert_eq!((unchanged.status.as_u16(), unchanged.text.as_str()), (304, ""), "{path}");
        let changed = change(&known).await;
        assert!(changed.status.is_success(), "{path}: {} {}", changed.status, changed.text);
        held += 1;
        // The registry may have vetted it by now.
        if template.starts_with("/rest/tcr") {
            continue;
        }
        // The answer is the version that is read next.
        let next = read().header("if-none-match", &known).send().await;
        let is_another = tag(&changed) != known;
        assert_eq!(next.status.as_u16(), if is_another { 200 } else { 304 }, "{path}");
        assert_eq!(tag(&next), tag(&changed), "{path}");
    }
    assert!(held > 15, "{held}");
}

/// What is only listed tells its version when it is made, and when it is changed.
#[tokio::test]
async fn what_is_listed_has_a_version_too() {
    let world = World::new().await;
    let (owner, _) = objects(&world).await;
    let invite = json!({"name": "everybody", "expired_on": "2099-01-01T00:00:00Z"});
    let made = [
        ("/rest/token", json!({"name": "first"})),
        ("/rest/user/cart", json!({"payload": {"tn": TN}})),
        ("/rest/sip/domain/home/invite", invite),
        ("/rest/app/group", json!({"name": "first"})),
    ];
    for (path, form) in made {
        let made = owner.ask(world.post(path, form), path).send().await;
        let one = format!("{path}/{}", made.json["payload"]["uuid"].as_str().unwrap());
        let change = async |tag: &str| {
            let form = json!({"name": "second", "payload": {}});
            owner.ask(world.patch(&one, form).header("if-match", tag), path).send().await
        };
        let first = made.headers["etag"].to_str().unwrap();
        let second = change(first).await.headers["etag"].to_str().unwrap().to_owned();
        assert_eq!(change(first).await.status, 412, "{path}");
        assert_eq!(change(&second).await.status, 200, "{path}");
    }
}

/// Headers that the document names are heeded, and no others.
#[tokio::test]
async fn operations_heed_the_headers_that_the_document_says() {
    let rate = RateLimit { account_per_minute: 150_000, address_per_minute: 150_000, ..Settings::default().rate };
    let world = World::with(Settings { rate, ..Settings::default() }).await;
    let (owner, objects) = objects(&world).await;
    let mut all: Vec<(Method, &str)> = operations().collect();
    all.sort_by_key(|(method, template)| (order(method), Reverse(template.matches('/').count())));
    for (index, (method, template)) in all.iter().enumerate() {
        let path = path_of(template, &objects);
        let ask = |name: &'static str, value: &str| {
            let call = request(&world, method, &path, template, &objects).header(name, value);
            if is_open(method, template) { call.anonymous() } else { owner.ask(call, template) }
        };
        let old = ask("if-match", "\"old\"").send().await;
        assert_eq!(old.status == 412, heeds(method, template, "If-Match"), "{method} {template}: {}", old.status);
        if method == Method::GET {
            let known = ask("if-none-match", "*").send().await.status == 304;
            assert_eq!(known, heeds(method, template, "If-None-Match"), "{template}");
        }
        let key = format!("key-{index}");
        ask("idempotency-key", &key).send().await;
        let replayed = ask("idempotency-key", &key).send().await.headers.contains_key("idempotent-replayed");
        assert_eq!(replayed, heeds(method, template, "Idempotency-Key"), "{method} {template}");
    }
}

/// So that nothing is deleted that is still asked for.
fn order(method: &Method) -> usize {
    ["GET", "POST", "PATCH", "PUT", "DELETE"].iter().position(|one| *one == method.as_str()).unwrap()
}
