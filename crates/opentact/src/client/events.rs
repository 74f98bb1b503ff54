//! `opentact events`.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Server, clock};

#[derive(Debug, Subcommand)]
pub enum Events {
    /// Print events as they come, until interrupted.
    Tail(Tail),
}

#[derive(Debug, Args)]
pub struct Tail {
    /// Only these types (`call_state,sms`).
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    kinds: Vec<String>,
    /// Print whole events as JSON, one a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

impl Events {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let Self::Tail(tail) = self;
        let mut events = tail.server.connect()?.events().await?;
        while let Some(event) = events.next().await? {
            let kind = event["type"].as_str().unwrap_or_default();
            if !tail.kinds.is_empty() && !tail.kinds.iter().any(|wanted| wanted == kind) {
                continue;
            }
            if tail.json {
                println!("{event}");
            } else {
                println!("{}  {kind:<12} {}", clock(&event), event["message"].as_str().unwrap_or_default());
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
