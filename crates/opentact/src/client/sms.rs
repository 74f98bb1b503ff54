//! `opentact sms`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};

use super::{Api, Server, clock};

#[derive(Debug, Args)]
pub struct Sms {
    /// Number.
    to: String,
    text: String,
    /// Sender, a number of yours; default: the first that can send SMS.
    #[arg(long)]
    from: Option<String>,
    /// Seconds to wait for the receipt once the carrier has the message.
    #[arg(long, default_value_t = 60)]
    wait: u64,
    #[command(flatten)]
    server: Server,
}

impl Sms {
    /// Exit code 0 when delivered, 2 when failed, 3 when no receipt came in time.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let api = self.server.connect()?;
        let from = match &self.from {
            Some(from) => json!(from),
            None => first_sender(&api).await?,
        };
        let mut events = api.events().await?;
        let sent = api.post("/rest/sms", &json!({"from": from, "to": self.to, "message": self.text})).await?;
        let Some(uuid) = sent["uuid"].as_str() else { bail!("the answer has no message: {sent}") };
        println!("sms {uuid}: {} > {}, {} segment(s)", from, self.to, sent["segments"]);
        let states = async {
            while let Some(event) = events.next().await? {
                if event["type"] != "sms" || event["payload"]["uuid"] != uuid {
                    continue;
                }
                let payload = &event["payload"];
                println!("{}  {}", clock(&event), line(payload));
                if payload["delivered"] == true {
                    return Ok(ExitCode::SUCCESS);
                }
                if payload["state"] == "failed" {
                    return Ok(ExitCode::from(2));
                }
            }
            bail!("the server closed the websocket before the message was delivered")
        };
        match tokio::time::timeout(Duration::from_secs(self.wait), states).await {
            Ok(result) => result,
            Err(_) => {
                println!("no receipt in {} s", self.wait);
                Ok(ExitCode::from(3))
            }
        }
    }
}

/// The lowest number of the account that can send SMS.
async fn first_sender(api: &Api) -> anyhow::Result<Value> {
    let leases = api.post("/rest/lease/tn/search", &json!({"features": ["sms"], "take": 1})).await?;
    match &leases["data"][0]["tn"] {
        Value::Null => bail!("you have no number that can send SMS; order one: opentact numbers search, numbers order"),
        Value::Object(tn) => Ok(tn["tn"].clone()),
        tn => Ok(tn.clone()),
    }
}

/// One state of a message for people.
fn line(payload: &Value) -> String {
    let state = payload["state"].as_str().unwrap_or_default();
    let receipt = if payload["delivered"] == true { ", delivered" } else { "" };
    match payload["reason"].as_str() {
        Some(reason) if !reason.is_empty() => format!("{state}{receipt} ({reason})"),
        _ => format!("{state}{receipt}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_read_well() {
        assert_eq!(line(&json!({"state": "sending", "delivered": false, "reason": null})), "sending");
        assert_eq!(line(&json!({"state": "success", "delivered": true})), "success, delivered");
        assert_eq!(line(&json!({"state": "failed", "reason": "Queuing Timeout"})), "failed (Queuing Timeout)");
    }
}
