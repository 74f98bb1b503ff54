//! Load for `bench/sms`: clients that ask for messages by HTTP, the SMSC they are to reach, and the web server that is to
//! be told of their receipts, in one thread.
//!
//! Prints where SMSC and web server listen, as JSON. Each line of the input is a [`Job`] then, and is answered with a line
//! of what came of it. Messages are told apart by their recipients, which are numbered.

mod client;
mod smsc;
mod tally;
mod web;

use std::rc::Rc;

use anyhow::Result;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::task::LocalSet;

use tally::Tally;

/// Messages to be sent.
#[derive(Debug, Clone, Deserialize)]
pub struct Job {
    /// Of the server under test.
    address: String,
    /// The request, with `{to}` where the recipient stands and `{length}` for the octets of the body.
    head: String,
    #[serde(default)]
    body: String,
    messages: u64,
    /// Recipients of one request, with commas between them.
    #[serde(default = "one")]
    together: u64,
    connections: u64,
    /// Messages that are not told of at once.
    window: u64,
    /// Messages a second; 0: as many as go.
    #[serde(default)]
    rate: f64,
    /// What a telling of the last state has, in query or body.
    last: String,
}

fn one() -> u64 {
    1
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    LocalSet::new().run_until(run()).await
}

async fn run() -> Result<()> {
    let tally = Rc::new(Tally::default());
    let (smsc, web) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    println!("{}", serde_json::json!({ "smsc": smsc.local_addr()?.port(), "web": web.local_addr()?.port() }));
    tokio::task::spawn_local(smsc::serve(smsc, tally.clone()));
    tokio::task::spawn_local(web::serve(web, tally.clone()));
    // Nothing happens between two jobs, and what the servers say in between waits.
    while let Some(line) = tokio::task::spawn_blocking(|| std::io::stdin().lines().next()).await? {
        let job: Job = serde_json::from_str(&line?)?;
        println!("{}", client::run(job, &tally).await?);
    }
    Ok(())
}
