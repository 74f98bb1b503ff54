//! `opentact call`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value, json};

use super::{Server, clock};

/// What a called party hears when nothing else is asked for: a sentence, two seconds to speak, goodbye.
const GREETING: &str = "<Response><Answer/><Say>Hello. This is your first call through Opentact.</Say>\
                        <Pause length=\"2000\"/><Say>Goodbye.</Say><Hangup/></Response>";

#[derive(Debug, Args)]
pub struct Call {
    /// Number, user@domain or SIP URI.
    to: String,
    /// Caller number; default: that of the outbound voice profile.
    #[arg(long)]
    from: Option<String>,
    /// Call-control XML to run once answered.
    #[arg(long, value_name = "FILE.xml")]
    xml: Option<PathBuf>,
    /// Sentence to speak once answered, in place of XML.
    #[arg(long, conflicts_with = "xml")]
    say: Option<String>,
    /// Seconds it may ring.
    #[arg(long, default_value_t = 60)]
    timeout: u32,
    /// Print whole events as JSON, one a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

impl Call {
    /// Exit code 0 when the call was answered, 2 when not.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let xml = match (&self.xml, &self.say) {
            (Some(file), _) => std::fs::read_to_string(file).with_context(|| file.display().to_string())?,
            (None, Some(text)) => format!("<Response><Answer/><Say>{}</Say><Hangup/></Response>", escape(text)),
            (None, None) => GREETING.to_owned(),
        };
        let api = self.server.connect()?;
        let mut events = api.events().await?;
        let mut body = json!({"to": self.to, "xml": xml, "timeout": self.timeout});
        if let Some(from) = &self.from {
            body["from"] = json!(from);
        }
        let call = api.post("/rest/call", &body).await?;
        let Some(uuid) = call["uuid"].as_str() else { bail!("the answer has no call: {call}") };
        if !self.json {
            println!("call {uuid}: {} > {}", text(&call["from"]), text(&call["to"]));
        }
        let mut answered = false;
        while let Some(event) = events.next().await? {
            if event["call"]["uuid"] != uuid {
                continue;
            }
            let state = event["payload"]["state"].as_str().filter(|_| event["type"] == "call_state");
            answered |= state == Some("live");
            if self.json {
                println!("{event}");
            } else {
                println!("{}  {:<12} {}", clock(&event), text(&event["type"]), line(&event));
            }
            if state == Some("destroyed") {
                return Ok(ExitCode::from(if answered { 0 } else { 2 }));
            }
        }
        bail!("the server closed the websocket before the call was over")
    }
}

/// One event of a call for people.
fn line(event: &Value) -> String {
    let call = &event["call"];
    match event["type"].as_str() {
        Some("call_state") => {
            let state = text(&event["payload"]["state"]);
            match (call["q850_cause"].as_u64(), call["q850_cause_string"].as_str()) {
                (Some(cause), Some(meaning)) => format!("{state} ({cause} {meaning})"),
                _ => state,
            }
        }
        Some("call_flow") => {
            let command = &event["payload"]["command"];
            let mark = if command["success"] == true { "ok" } else { "failed" };
            format!("{} {mark}: {}", text(&command["name"]), text(&command["reason"]))
        }
        _ => text(&event["message"]),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_read_well() {
        let hangup = json!({"type": "call_state", "payload": {"state": "hangup"},
            "call": {"q850_cause": 17, "q850_cause_string": "User busy"}});
        assert_eq!(line(&hangup), "hangup (17 User busy)");
        let said = json!({"type": "call_flow",
            "payload": {"command": {"name": "Say", "success": true, "reason": "Played"}}});
        assert_eq!(line(&said), "Say ok: Played");
    }

    #[test]
    fn the_greeting_is_valid() {
        assert!(opentact_callflow::parse(GREETING, opentact_callflow::Mode::Strict).is_ok());
    }

    #[test]
    fn a_sentence_may_hold_markup() {
        assert_eq!(escape("a < b & c"), "a &lt; b &amp; c");
    }
}
