//! Commands that talk to a running server by its public API.

pub mod call;
pub mod events;
pub mod logs;
pub mod numbers;
pub mod sip;
pub mod sms;
mod socket;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use reqwest::{Method, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::runtime::RuntimeFile;
use crate::tls::{self, TlsFiles};

pub use socket::EventSocket;

/// Longest wait for one answer of the API.
const ANSWER: Duration = Duration::from_secs(30);

/// Which server, and as whom. A server on this machine is found through its data folder.
#[derive(Debug, Args)]
pub struct Server {
    /// Server, such as https://example.com; default: the one that runs on the data folder.
    #[arg(long, env = "OPENTACT_URL")]
    url: Option<Url>,
    /// API token; default: the one made on first start.
    #[arg(long, env = "OPENTACT_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// PEM file of the authority to trust; default: the data folder's, else the system's.
    #[arg(long, env = "OPENTACT_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Data folder of a server on this machine.
    #[arg(long, env = "OPENTACT_DATA", value_name = "DIR", default_value = "./data")]
    data: PathBuf,
}

/// `credentials.json` in the data folder: what first start made, for the owner's own commands. Mode 0600.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    pub email: String,
    /// API token.
    pub token: String,
    pub sip_domain: String,
    pub sip_user: String,
    pub sip_password: String,
}

impl Credentials {
    fn path(data: &Path) -> PathBuf {
        data.join("credentials.json")
    }

    /// # Errors
    /// What the file system says.
    pub fn write(&self, data: &Path) -> std::io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        crate::files::replace(&Self::path(data), &text, 0o600)
    }

    /// `None` when the folder has none.
    pub fn read(data: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path(data)).ok()?).ok()
    }
}

/// A client of the REST API.
pub struct Api {
    base: Url,
    token: String,
    http: reqwest::Client,
    tls: Arc<rustls::ClientConfig>,
}

impl Server {
    /// # Errors
    /// When no server or token is given or found, or the authority's file is no PEM.
    pub fn connect(&self) -> anyhow::Result<Api> {
        tls::install_provider();
        let base = match &self.url {
            Some(url) => url.clone(),
            None => {
                let runtime = RuntimeFile::read(&self.data).ok_or_else(|| {
                    anyhow!(
                        "no server runs on the data folder {}; start one, or name one by --url",
                        self.data.display()
                    )
                })?;
                Url::parse(&format!("https://{}", runtime.https))?
            }
        };
        let token = match &self.token {
            Some(token) => token.clone(),
            None => {
                let credentials = Credentials::read(&self.data).ok_or_else(|| {
                    anyhow!("no credentials.json in the data folder {}; give --token", self.data.display())
                })?;
                credentials.token
            }
        };
        let local = TlsFiles::in_data(&self.data).ca();
        let ca = self.ca.clone().or_else(|| (self.url.is_none() && local.exists()).then_some(local));
        let (http, tls) = transports(ca.as_deref())?;
        Ok(Api { base, token, http, tls })
    }
}

fn transports(ca: Option<&Path>) -> anyhow::Result<(reqwest::Client, Arc<rustls::ClientConfig>)> {
    let mut http = reqwest::Client::builder().timeout(ANSWER).https_only(true);
    let mut roots = rustls::RootCertStore::empty();
    if let Some(ca) = ca {
        let pem = std::fs::read(ca).with_context(|| ca.display().to_string())?;
        http = http.tls_certs_only([reqwest::Certificate::from_pem(&pem)?]);
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate.with_context(|| ca.display().to_string())?)?;
        }
    } else {
        for certificate in rustls_native_certs::load_native_certs().certs {
            roots.add(certificate)?;
        }
    }
    let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok((http.build()?, Arc::new(tls)))
}

/// The envelope every answer stands in.
#[derive(Debug, Deserialize)]
struct Envelope {
    success: bool,
    #[serde(default)]
    payload: Value,
    #[serde(default)]
    message: String,
    #[serde(default)]
    fields: serde_json::Map<String, Value>,
}

impl Api {
    /// # Errors
    /// As [`Api::ask`].
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask(Method::GET, path, None).await
    }

    /// # Errors
    /// As [`Api::ask`].
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// One request; the payload of its answer.
    ///
    /// # Errors
    /// When the server cannot be reached, or says no: its message and the fields it names.
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let url = self.base.join(path)?;
        let mut request = self.http.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.with_context(|| format!("asking {}", self.base))?;
        let status = answer.status();
        let envelope: Envelope = answer.json().await.with_context(|| format!("{status} without an envelope"))?;
        if envelope.success { Ok(envelope.payload) } else { Err(refusal(status, &envelope)) }
    }

    /// Opens the websocket and authenticates; the account's events follow.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses the token.
    pub async fn events(&self) -> anyhow::Result<EventSocket> {
        let mut url = self.base.join("/ws")?;
        if url.set_scheme("wss").is_err() {
            bail!("{} is no web address", self.base);
        }
        EventSocket::open(&url, Arc::clone(&self.tls), &self.token).await
    }
}

fn refusal(status: StatusCode, envelope: &Envelope) -> anyhow::Error {
    let fields: Vec<String> = envelope
        .fields
        .iter()
        .map(|(field, fault)| format!("\n  {field}: {}", fault["message"].as_str().unwrap_or_default()))
        .collect();
    anyhow!("{} ({}){}", envelope.message, status.as_u16(), fields.concat())
}

/// Ends the process quietly when whoever reads its output has gone, as `head` does.
fn end_with_the_reader() {
    // SAFETY: sets the default action of one signal before any other thread runs; no handler of ours is involved.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Runs a client command to its end.
///
/// # Errors
/// The command's.
pub fn run(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    end_with_the_reader();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}

/// `HH:MM:SS.mmm` of an event's `created_on`.
fn clock(event: &Value) -> &str {
    event["created_on"].as_str().and_then(|stamp| stamp.get(11..23)).unwrap_or("--:--:--.---")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refusal_names_every_field() {
        let envelope: Envelope = serde_json::from_value(json!({
            "success": false, "message": "Validation failed", "status": 422,
            "fields": {"params.to": {"message": "invalid number", "value": "x"}, "params.timeout": {"message": "too long"}},
        }))
        .unwrap();
        assert_eq!(
            refusal(StatusCode::UNPROCESSABLE_ENTITY, &envelope).to_string(),
            "Validation failed (422)\n  params.to: invalid number\n  params.timeout: too long"
        );
    }

    #[test]
    fn credentials_are_kept_for_their_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let data = tempfile::tempdir().unwrap();
        let credentials = Credentials {
            email: "admin@localhost".to_owned(),
            token: "t".to_owned(),
            sip_domain: "home.sip.localhost".to_owned(),
            sip_user: "phone".to_owned(),
            sip_password: "p".to_owned(),
        };
        credentials.write(data.path()).unwrap();
        let mode = std::fs::metadata(data.path().join("credentials.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(Credentials::read(data.path()), Some(credentials));
    }
}
