//! The HTTP listeners: plain (redirects), TLS (the API) and metrics.

mod farewell;
mod unread;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::RustlsConfig;
use http::header::{CONTENT_TYPE, HOST, LOCATION};
use http::uri::Authority;
use http::{HeaderValue, StatusCode};
use ipnet::IpNet;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

use crate::config::Config;
use farewell::FarewellAcceptor;

/// A connection that has not sent a whole request by then is closed.
const FIRST_REQUEST: Duration = Duration::from_secs(15);

#[derive(Debug, thiserror::Error)]
#[error("{setting} = {address}: {fault}")]
pub struct BindError {
    pub setting: &'static str,
    pub address: SocketAddr,
    pub fault: io::Error,
}

/// Bound sockets that do not serve yet.
#[derive(Debug)]
pub struct Bound {
    http: TcpListener,
    https: TcpListener,
    metrics: TcpListener,
}

fn bind(setting: &'static str, address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).map_err(|fault| BindError { setting, address, fault })
}

impl Bound {
    /// # Errors
    /// The first address that cannot be had, with its setting.
    pub fn bind(config: &Config) -> Result<Self, BindError> {
        Ok(Self {
            http: bind("http.listen", config.http.listen)?,
            https: bind("https.listen", config.https.listen)?,
            metrics: bind("metrics.listen", config.metrics.listen)?,
        })
    }

    /// # Errors
    /// What the kernel says.
    pub fn addresses(&self) -> io::Result<Addresses> {
        Ok(Addresses {
            http: self.http.local_addr()?,
            https: self.https.local_addr()?,
            metrics: self.metrics.local_addr()?,
        })
    }

    /// Serves `app` on HTTPS and, for trusted proxies, on plain HTTP, where everybody else is served `plain` and redirected
    /// for what it has not.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn serve(
        self,
        app: Router,
        plain: Option<Router>,
        tls: RustlsConfig,
        trusted_proxies: Vec<IpNet>,
        metrics: PrometheusHandle,
    ) -> io::Result<Listeners> {
        let https_port = self.https.local_addr()?.port();
        let plain = plain_router(https_port, trusted_proxies, app.clone(), plain.unwrap_or_default());
        let (app, plain) = (app.layer(from_fn(unread::layer)), plain.layer(from_fn(unread::layer)));
        let handles = [Handle::new(), Handle::new(), Handle::new()];
        let [http, https, scrape] = handles.clone();
        let http = axum_server::from_tcp(self.http)?
            .acceptor(FarewellAcceptor(NoDelayAcceptor::new()))
            .first_request_timeout(FIRST_REQUEST)
            .handle(http)
            .serve(plain.into_make_service_with_connect_info::<SocketAddr>());
        let https = axum_server::from_tcp_rustls(self.https, tls)?
            .map(|tls| FarewellAcceptor(tls.acceptor(NoDelayAcceptor::new())))
            .first_request_timeout(FIRST_REQUEST)
            .handle(https)
            .serve(app.into_make_service_with_connect_info::<SocketAddr>());
        let scrape = axum_server::from_tcp(self.metrics)?
            .first_request_timeout(FIRST_REQUEST)
            .handle(scrape)
            .serve(scrape_router(metrics).into_make_service());
        let tasks = vec![tokio::spawn(http), tokio::spawn(https), tokio::spawn(scrape)];
        Ok(Listeners { handles, tasks })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    pub http: SocketAddr,
    pub https: SocketAddr,
    pub metrics: SocketAddr,
}

/// The listeners while they serve.
pub struct Listeners {
    handles: [Handle<SocketAddr>; 3],
    tasks: Vec<JoinHandle<io::Result<()>>>,
}

impl Listeners {
    /// No new connections; requests under way may take up to `grace`.
    pub async fn close(self, grace: Duration) {
        for handle in &self.handles {
            handle.graceful_shutdown(Some(grace));
        }
        for task in self.tasks {
            match task.await {
                Ok(Ok(())) => {}
                Ok(Err(fault)) => tracing::warn!(%fault, "a listener ended with an error"),
                Err(fault) => tracing::error!(%fault, "a listener's task died"),
            }
        }
    }
}

fn scrape_router(metrics: PrometheusHandle) -> Router {
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        // Histograms grow until their samples are folded in.
        let mut tick = tokio::time::interval(Duration::from_secs(5));
        loop {
            tick.tick().await;
            upkeep.run_upkeep();
        }
    });
    Router::new().route(
        "/metrics",
        get(move || async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()) }),
    )
}

#[derive(Clone)]
struct Plain {
    trusted_proxies: Arc<[IpNet]>,
    app: Router,
    others: Router,
}

/// What trusted proxies have received over TLS is served by `app`, what others ask for by `plain`; what is not in there is
/// answered 302 to the same path on HTTPS.
fn plain_router(https_port: u16, trusted_proxies: Vec<IpNet>, app: Router, plain: Router) -> Router {
    let redirect = async move |request: Request| match location(&request, https_port) {
        Some(location) => (StatusCode::FOUND, [(LOCATION, location)]).into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    };
    let plain = Plain { trusted_proxies: trusted_proxies.into(), app, others: plain.fallback(redirect) };
    Router::new().fallback(serve_plain).with_state(plain)
}

async fn serve_plain(
    State(plain): State<Plain>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let address = peer.ip().to_canonical();
    let trusted = plain.trusted_proxies.iter().any(|network| network.contains(&address));
    let secure = request.headers().get("x-forwarded-proto").is_some_and(|scheme| scheme.as_bytes() == b"https");
    let router = if trusted && secure { plain.app } else { plain.others };
    router.oneshot(request).await.into_response()
}

/// The same host and path on HTTPS. `None` without a usable host.
fn location(request: &Request, https_port: u16) -> Option<HeaderValue> {
    let host = match request.uri().authority() {
        Some(authority) => authority.clone(),
        None => request.headers().get(HOST)?.to_str().ok()?.parse::<Authority>().ok()?,
    };
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let host = host.host();
    let text = match https_port {
        443 => format!("https://{host}{path}"),
        port => format!("https://{host}:{port}{path}"),
    };
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use axum::body::Body;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
    use rustls::{ClientConfig, RootCertStore, ServerConfig};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpSocket, TcpStream};
    use tokio::sync::mpsc;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::client::TlsStream;

    use super::*;

    async fn ask(peer: &str, headers: &[(&str, &str)], path: &str) -> (StatusCode, Option<String>) {
        let app = Router::new().fallback(|| async { StatusCode::IM_A_TEAPOT });
        let served = Router::new().route("/sip", get(|| async { StatusCode::UPGRADE_REQUIRED }));
        let mut request = http::Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer.parse().unwrap()));
        let plain = plain_router(8443, vec!["10.0.0.0/8".parse().unwrap()], app, served);
        let answer = plain.oneshot(request).await.unwrap();
        (answer.status(), answer.headers().get(LOCATION).map(|value| value.to_str().unwrap().to_owned()))
    }

    #[tokio::test]
    async fn every_path_is_redirected_with_its_query() {
        let (status, location) = ask("192.0.2.1:5", &[("host", "example.com:8080")], "/rest/call?take=1").await;
        assert_eq!(
            (status, location.as_deref()),
            (StatusCode::FOUND, Some("https://example.com:8443/rest/call?take=1"))
        );
        let (_, location) = ask("192.0.2.1:5", &[("host", "[::1]:8080")], "/").await;
        assert_eq!(location.as_deref(), Some("https://[::1]:8443/"));
    }

    #[tokio::test]
    async fn only_a_trusted_proxy_is_believed() {
        let headers = [("host", "example.com"), ("x-forwarded-proto", "https")];
        assert_eq!(ask("10.1.2.3:5", &headers, "/").await.0, StatusCode::IM_A_TEAPOT);
        assert_eq!(ask("[::ffff:10.1.2.3]:5", &headers, "/").await.0, StatusCode::IM_A_TEAPOT);
        assert_eq!(ask("192.0.2.1:5", &headers, "/").await.0, StatusCode::FOUND);
        assert_eq!(ask("10.1.2.3:5", &headers[..1], "/").await.0, StatusCode::FOUND);
    }

    #[tokio::test]
    async fn what_is_served_without_tls_is_not_redirected() {
        assert_eq!(ask("192.0.2.1:5", &[("host", "example.com")], "/sip").await.0, StatusCode::UPGRADE_REQUIRED);
        let forwarded = [("host", "example.com"), ("x-forwarded-proto", "https")];
        assert_eq!(ask("10.1.2.3:5", &forwarded, "/sip").await.0, StatusCode::IM_A_TEAPOT);
        assert_eq!(ask("192.0.2.1:5", &[("host", "example.com")], "/sips").await.0, StatusCode::FOUND);
    }

    #[tokio::test]
    async fn no_host_no_redirect() {
        assert_eq!(ask("192.0.2.1:5", &[], "/").await.0, StatusCode::BAD_REQUEST);
        assert_eq!(ask("192.0.2.1:5", &[("host", "a b")], "/").await.0, StatusCode::BAD_REQUEST);
    }

    /// A connection to `app` that takes few octets which nobody reads.
    async fn connected(app: Router) -> (Listeners, TlsStream<TcpStream>) {
        crate::tls::install_provider();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let served = ServerConfig::builder().with_no_client_auth();
        let served = served.with_single_cert(vec![certificate.clone()], key.into()).unwrap();
        let https = TcpSocket::new_v4().unwrap();
        https.set_recv_buffer_size(16 << 10).unwrap();
        https.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let any = || TcpListener::bind("127.0.0.1:0").unwrap();
        let https = https.listen(8).unwrap().into_std().unwrap();
        let bound = Bound { http: any(), https, metrics: any() };
        let address = bound.addresses().unwrap().https;
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let served = RustlsConfig::from_config(Arc::new(served));
        let listeners = bound.serve(app, None, served, Vec::new(), metrics).unwrap();

        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(16 << 10).unwrap();
        let socket = socket.connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        (listeners, TlsConnector::from(Arc::new(client)).connect(name, socket).await.unwrap())
    }

    fn head(length: usize, more: &str) -> String {
        format!("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n{more}\r\n")
    }

    /// To the end; an error where the end is not told.
    async fn heard(stream: &mut TlsStream<TcpStream>) -> String {
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await.unwrap();
        heard
    }

    #[tokio::test]
    async fn an_answer_arrives_before_a_long_body_was_read() {
        let app = Router::new().fallback(|| async { StatusCode::UNAUTHORIZED });
        let (_listeners, mut stream) = connected(app).await;
        stream.write_all(head(1 << 20, "").as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; 1 << 20]).await.unwrap();
        let heard = heard(&mut stream).await;
        assert!(heard.starts_with("HTTP/1.1 401") && heard.contains("connection: close"), "{heard}");
    }

    #[tokio::test]
    async fn a_connection_goes_on_behind_a_body_that_nobody_reads() {
        let (asked, mut seen) = mpsc::unbounded_channel();
        let app = Router::new().fallback(move || {
            asked.send(()).unwrap();
            async { StatusCode::UNAUTHORIZED }
        });
        let (_listeners, mut stream) = connected(app).await;
        stream.write_all(head(5, "").as_bytes()).await.unwrap();
        seen.recv().await.unwrap();
        stream.write_all(b"later").await.unwrap();
        stream.write_all(head(0, "connection: close\r\n").as_bytes()).await.unwrap();
        let heard = heard(&mut stream).await;
        assert_eq!(heard.matches("HTTP/1.1 401").count(), 2, "{heard}");
    }

    #[tokio::test]
    async fn who_does_not_send_the_body_before_being_asked_is_told_of_the_end() {
        let app = Router::new().fallback(|| async { StatusCode::UNAUTHORIZED });
        let (_listeners, mut stream) = connected(app).await;
        stream.write_all(head(5, "expect: 100-continue\r\n").as_bytes()).await.unwrap();
        let heard = heard(&mut stream).await;
        assert!(heard.starts_with("HTTP/1.1 401") && heard.contains("connection: close"), "{heard}");
    }

    #[tokio::test]
    async fn a_connection_that_is_given_up_says_so() {
        let (asked, mut seen) = mpsc::unbounded_channel();
        let app = Router::new().fallback(move || {
            asked.send(()).unwrap();
            pending::<StatusCode>()
        });
        let (listeners, mut stream) = connected(app).await;
        stream.write_all(head(0, "").as_bytes()).await.unwrap();
        seen.recv().await.unwrap();
        let [_, https, _] = &listeners.handles;
        https.shutdown();
        assert_eq!(heard(&mut stream).await, "");
    }
}
