//! Outgoing HTTP against a server that leads astray.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use std::time::Duration;

use opentact_engine::http::{EgressGuard, Fetch, HttpClient, HttpError};
use tokio::net::TcpListener;
use world::http::{found, serve};

fn client(allow: &[&str]) -> HttpClient {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let allow = allow.iter().map(|net| net.parse().unwrap()).collect();
    HttpClient::new(EgressGuard::new(allow), "test").unwrap()
}

fn get(url: String) -> Fetch {
    Fetch {
        url,
        method: "GET".parse().unwrap(),
        query: Vec::new(),
        headers: Vec::new(),
        body: None,
        timeout: None,
        limit: 1 << 20,
        etag: None,
    }
}

fn moved(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn no_spelling_of_an_inner_address_is_connected_to() {
    let (inner, requests) = serve(|_, _| found("secret")).await;
    let client = client(&[]);
    let port = inner.port();
    for host in [
        "127.0.0.1",
        "user:password@127.0.0.1",
        "public.example@127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "0.0.0.0",
        "[::]",
    ] {
        let refused = client.fetch(get(format!("http://{host}:{port}/"))).await;
        assert!(matches!(refused, Err(HttpError::Refused { .. })), "{host}: {refused:?}");
    }
    for url in ["file:///etc/passwd", "gopher://127.0.0.1/", "http://", "//127.0.0.1/", ""] {
        let refused = client.fetch(get(url.to_owned())).await;
        assert!(matches!(refused, Err(HttpError::Url { .. })), "{url}: {refused:?}");
    }
    assert_eq!(requests.lock().len(), 0);
}

#[tokio::test]
async fn no_redirect_leads_elsewhere() {
    let (inner, requests) = serve(|_, _| found("secret")).await;
    let aside = inner.port();
    let (outer, _) = serve(move |path, own| match path {
        "/here" => moved("/end"),
        "/absolute" => moved(&format!("http://127.0.0.1:{own}/end")),
        "/end" => found("end"),
        "/port" => moved(&format!("http://127.0.0.1:{aside}/")),
        "/host" => moved(&format!("http://localhost:{own}/end")),
        "/literal" => moved(&format!("http://[::1]:{own}/end")),
        "/scheme" => moved(&format!("https://127.0.0.1:{own}/end")),
        "/file" => moved("file:///etc/passwd"),
        _ => moved("/round"),
    })
    .await;
    let client = client(&["127.0.0.0/8"]);
    let ask = async |path: &str| client.fetch(get(format!("http://{outer}{path}"))).await;
    for path in ["/here", "/absolute"] {
        assert_eq!(ask(path).await.unwrap().body, "end", "{path}");
    }
    for path in ["/port", "/host", "/literal", "/scheme", "/round"] {
        assert!(ask(path).await.is_err(), "{path}");
    }
    // No redirect that HTTP knows: what was answered is the answer.
    assert_eq!(ask("/file").await.unwrap().status, 302);
    assert_eq!(requests.lock().len(), 0);
}

#[tokio::test]
async fn ports_of_other_services_are_refused_where_the_address_is_not() {
    let client = client(&["127.0.0.0/8"]);
    for port in [22, 25, 5060, 6379] {
        let refused = client.fetch(get(format!("http://127.0.0.1:{port}/"))).await;
        assert!(matches!(refused, Err(HttpError::Refused { .. })), "{port}: {refused:?}");
    }
}

#[tokio::test]
async fn an_answer_is_read_to_its_limit_and_waited_for_to_its_time() {
    let (server, _) = serve(|path, _| match path {
        "/long" => found(&"x".repeat(2048)),
        // Without a length, so that only reading tells.
        "/endless" => format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", "x".repeat(1 << 20)),
        _ => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nnot".to_owned(),
    })
    .await;
    let client = client(&["127.0.0.0/8"]);
    for path in ["/long", "/endless"] {
        let fetch = Fetch { limit: 1024, ..get(format!("http://{server}{path}")) };
        assert_eq!(client.fetch(fetch).await.unwrap_err(), HttpError::TooLarge { limit: 1024 }, "{path}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let timeout = Some(Duration::from_millis(50));
    let silent = Fetch { timeout, ..get(format!("http://{}/", listener.local_addr().unwrap())) };
    assert_eq!(client.fetch(silent).await.unwrap_err(), HttpError::Timeout(Duration::from_millis(50)));
}
