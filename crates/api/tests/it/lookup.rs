//! Facts of numbers and what they cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, Method, StatusCode};
use opentact_api::{LookupSettings, Settings};
use opentact_engine::http::{EgressGuard, HttpClient};
use opentact_engine::number_data::HttpNumberData;
use opentact_store::Money;
use serde_json::json;

use crate::own_numbers::operated;
use crate::world::{World, shown};

#[tokio::test]
async fn a_number_is_looked_up_and_charged() {
    let world = World::new().await;
    let facts = world.get("/rest/lookup/+12015550123").expect(200).await;
    insta::assert_snapshot!(shown(&facts));
    assert_eq!(world.get("/rest/lookup/12015550123").expect(200).await, facts);
    assert_eq!(world.get("/rest/account").expect(200).await["balance"], json!(99.99));
    let charges = world.post("/rest/transaction/search", json!({"ref_type": "lookup"})).expect(200).await;
    assert_eq!((&charges["total"], &charges["data"][0]["description"]), (&json!(2), &json!("Lookup of +12015550123")));
    world.hub.flush().await;
    let events = world.get("/rest/event").expect(200).await;
    assert_eq!(events["data"][0]["source_action"], "lookup");

    let german = world.get("/rest/lookup/4930123456").expect(200).await;
    assert_eq!((&german["country"]["value"], &german["npa"]["value"]), (&json!("DE"), &json!(null)));
    world.get("/rest/lookup/9999999999").expect(404).await;
    for wrong in ["nobody", "12", "1201555012345678", "+1-201-555-0123"] {
        let wrong = world.get(&format!("/rest/lookup/{wrong}")).expect(422).await;
        assert!(wrong["fields"]["path.tn"].is_object());
    }
}

#[tokio::test]
async fn who_cannot_pay_is_told_nothing() {
    let lookup = LookupSettings { price: Money::units(101), ..LookupSettings::default() };
    let world = World::with(Settings { lookup, ..Settings::default() }).await;
    assert_eq!(world.get("/rest/lookup/12015550123").expect(402).await["message"], "Not enough account balance");
    assert_eq!(world.get("/rest/account").expect(200).await["balance"], json!(100));
}

#[tokio::test]
async fn the_lerg_is_uploaded_read_and_looked_up_in() {
    let world = operated().await;
    let file = "npa,nxx,block,state,rate_center,lata,ocn,carrier,county\n\
                201,555,A,NJ,HACKENSACK,224,9206,\"Verizon, NJ\",\n\
                201,555,1,NJ,JERSEY CTY,224,1234,Acme,HUDSON\n20,555,A,NJ,X,,,,\n\n416,555,A,on,TORONTO,,,,\n";
    let sent = || world.call(Method::POST, "/rest/dict/lerg").body("text/csv", file);
    let done = sent().expect(200).await;
    assert_eq!((&done["accepted"], &done["failed"], &done["total"]), (&json!(3), &json!(1), &json!(4)));
    let wrong = json!([{"line": 4, "column": "npa", "message": "must be 3 digits, the first 2 to 9", "value": "20"}]);
    assert_eq!(done["errors"], wrong);
    assert_eq!(sent().expect(200).await["accepted"], 3, "again is no fault");
    let progress = world.get("/rest/dict/lerg").expect(200).await;
    assert_eq!((&progress["is_running"], &progress["upload"]), (&json!(false), &done));
    // As large as such files are, with a line that is wrong.
    let large = format!("{file}201,555,A,NJ,{}\n", "X".repeat(5 << 20));
    let multipart = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"lerg.csv\"\r\n\r\n{large}\r\n--b--\r\n"
    );
    let form = world.call(Method::POST, "/rest/dict/lerg").body("multipart/form-data; boundary=b", multipart);
    assert_eq!(form.expect(200).await["failed"], 2);

    assert_eq!(world.get("/rest/dict/lerg/states").expect(200).await, json!(["NJ", "ON"]));
    let centers = world.get("/rest/dict/lerg/ratecenters?state=nj").expect(200).await;
    assert_eq!(centers, json!(["HACKENSACK", "JERSEY CTY"]));
    // The thousand where it is told apart, else the exchange; who serves it now is the provider's to say.
    let hudson = json!({"value": "HUDSON", "source": "lerg"});
    let unknown = json!({"value": null, "source": null});
    for (tn, center, county) in [("12015551234", "JERSEY CTY", hudson), ("12015552234", "HACKENSACK", unknown)] {
        let facts = world.get(&format!("/rest/lookup/{tn}")).expect(200).await;
        assert_eq!(facts["rate_center"], json!({"value": center, "source": "lerg"}));
        assert_eq!((&facts["county"], &facts["lata"]), (&county, &json!({"value": "224", "source": "lerg"})));
        assert_eq!(facts["carrier"]["source"], "dev");
    }
    // Without the LERG, where the exchange is.
    let jersey_city = world.get("/rest/lookup/12012001234").expect(200).await;
    assert_eq!(jersey_city["county"], json!({"value": "HUDSON", "source": "exchange"}));

    let headless = world.call(Method::POST, "/rest/dict/lerg").body("text/csv", "201,555\n").expect(422).await;
    assert!(headless["fields"]["params.file"].is_object());
    world.call(Method::POST, "/rest/dict/lerg").body("application/json", "{}").expect(400).await;
    sent().by(&world.stranger().await).expect(401).await;
}

/// A provider that counts who asks it: 404 for a number that ends in 4, and no answer for one that ends in 5.
async fn provider(asked: Arc<AtomicU32>) -> HttpNumberData {
    let answer = move |Path(tn): Path<String>, headers: HeaderMap| {
        asked.fetch_add(1, Ordering::Relaxed);
        let answer: Response = match (headers["authorization"].as_bytes(), tn.as_bytes().last()) {
            (b"Bearer key", Some(b'4')) => StatusCode::NOT_FOUND.into_response(),
            (b"Bearer key", Some(b'5')) => StatusCode::BAD_GATEWAY.into_response(),
            (b"Bearer key", _) => {
                r#"{"carrier": "Acme", "ocn": "1234", "lrn": "+12015550000", "more": [1]}"#.into_response()
            }
            _ => StatusCode::UNAUTHORIZED.into_response(),
        };
        std::future::ready(answer)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/{{tn}}", listener.local_addr().unwrap());
    let routes = Router::new().route("/v1/{tn}", get(answer));
    tokio::spawn(async { axum::serve(listener, routes).await });
    let _ = rustls::crypto::ring::default_provider().install_default();
    HttpNumberData {
        http: HttpClient::new(EgressGuard::new(vec!["127.0.0.0/8".parse().unwrap()]), "test").unwrap(),
        name: "acme".to_owned(),
        url,
        authorization: Some("Bearer key".to_owned()),
        timeout: Duration::from_secs(30),
    }
}

#[tokio::test]
async fn a_provider_is_asked_once_and_paid_for_only_when_it_answers() {
    let asked = Arc::new(AtomicU32::new(0));
    let data = Arc::new(provider(asked.clone()).await);
    let world = World::asking(Settings::default(), opentact_events::Settings::default(), data).await;
    for _ in 0..3 {
        let facts = world.get("/rest/lookup/12015550123").expect(200).await;
        assert_eq!(facts["carrier"], json!({"value": "Acme", "source": "acme"}));
        assert_eq!(facts["lrn"], json!({"value": 12_015_550_000_u64, "source": "acme"}));
        assert_eq!(facts["cnam"], json!({"value": null, "source": null}));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(world.get("/rest/lookup/12015550124").expect(200).await["carrier"]["value"], json!(null));
    let balance = world.get("/rest/account").expect(200).await["balance"].clone();
    let silent = world.get("/rest/lookup/12015550125").send().await;
    assert_eq!((silent.status.as_u16(), &silent.headers["retry-after"]), (503, &"5".parse().unwrap()));
    assert_eq!(world.get("/rest/account").expect(200).await["balance"], balance);
}
