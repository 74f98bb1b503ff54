//! `opentact logs`.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Server;

#[derive(Debug, Args)]
pub struct Logs {
    /// Call; without it the newest calls are listed.
    call: Option<Uuid>,
    #[arg(long, default_value_t = 20)]
    take: u32,
    #[command(flatten)]
    server: Server,
}

impl Logs {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let api = self.server.connect()?;
        match self.call {
            Some(call) => {
                let call = api.get(&format!("/rest/call/{call}")).await?;
                println!("{}", call_line(&call));
                for step in call["logs"].as_array().into_iter().flatten() {
                    println!("  {}", step_line(step));
                }
            }
            None => {
                let search = json!({"take": self.take, "order": {"created_on": "DESC"}});
                let found = api.post("/rest/call/search", &search).await?;
                for call in found["data"].as_array().into_iter().flatten() {
                    println!("{}", call_line(call));
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn call_line(call: &Value) -> String {
    let word = |name: &str| call[name].as_str().unwrap_or("-").to_owned();
    format!(
        "{}  {}  {:<3} {} > {}  {}  {} s  {}",
        word("uuid"),
        word("created_on"),
        word("direction"),
        word("from"),
        word("to"),
        word("state"),
        call["duration"],
        word("q850_cause_string"),
    )
}

fn step_line(step: &Value) -> String {
    let word = |name: &str| step[name].as_str().unwrap_or("-");
    let mark = if step["success"] == true { "ok" } else { "failed" };
    format!("{:<10} {mark:<6} {}", word("name"), word("reason"))
}
