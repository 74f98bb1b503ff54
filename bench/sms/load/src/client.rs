//! Who asks for messages.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::Job;
use crate::tally::Tally;
use crate::web::Wire;

/// Nothing is waited for any longer once nothing happened for so long.
const PATIENCE: Duration = Duration::from_secs(15);

/// Asks for all messages of a job and waits until they are told of.
pub async fn run(job: Job, tally: &Rc<Tally>) -> Result<Value> {
    tally.begin(job.messages, &job.last);
    let (job, begun, next) = (Rc::new(job), Instant::now(), Rc::new(Cell::new(0)));
    let mut clients = Vec::new();
    for _ in 0..job.connections {
        let stream = TcpStream::connect(&job.address).await.with_context(|| job.address.clone())?;
        let (job, tally, next) = (job.clone(), tally.clone(), next.clone());
        clients.push(tokio::task::spawn_local(
            async move { client(Wire::new(stream)?, &job, &tally, begun, &next).await },
        ));
    }
    for client in clients {
        if let Err(error) = client.await? {
            eprintln!("a client ended: {error:#}");
        }
    }
    while tally.over() < job.messages && tokio::time::timeout(PATIENCE, tally.progress.notified()).await.is_ok() {}
    Ok(tally.report())
}

async fn client(mut wire: Wire, job: &Job, tally: &Tally, begun: Instant, next: &Cell<u64>) -> Result<()> {
    loop {
        let first = next.get();
        if first >= job.messages {
            // Others may wait for room.
            tally.progress.notify_one();
            return Ok(());
        }
        if job.window > 0 && first.saturating_sub(tally.over()) >= job.window {
            if tokio::time::timeout(PATIENCE, tally.progress.notified()).await.is_err() {
                anyhow::bail!("nothing is told any more");
            }
            continue;
        }
        let together = job.together.min(job.messages - first);
        next.set(first + together);
        if tally.over() > 0 {
            // There may be room for others too.
            tally.progress.notify_one();
        }
        if job.rate > 0.0 {
            tokio::time::sleep_until(begun + Duration::from_secs_f64(first as f64 / job.rate)).await;
        }
        let recipients: Vec<u64> = (first..first + together).map(|number| tally.recipient(number)).collect();
        let to = recipients.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let body = job.body.replace("{to}", &to);
        let head = job.head.replace("{to}", &to).replace("{length}", &body.len().to_string());
        recipients.iter().for_each(|recipient| tally.asked(*recipient));
        wire.write(format!("{head}{body}").as_bytes()).await?;
        let answer = wire.read().await?;
        // HTTP/1.1 2xx.
        if answer.head.get(9) == Some(&b'2') {
            recipients.iter().for_each(|recipient| tally.accepted(*recipient));
        } else {
            eprintln!("{}", String::from_utf8_lossy(&answer.body));
            recipients.iter().for_each(|_| tally.refused());
        }
    }
}
