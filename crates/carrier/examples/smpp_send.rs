//! Sends messages through any SMSC:
//! `cargo run -p opentact-carrier --example smpp_send -- ADDRESS:PORT SYSTEM_ID PASSWORD`.
//!
//! Each line of the standard input, `FROM TO TEXT`, is sent; answers, receipts and what comes in are printed. After
//! the input's end it waits for as many receipts as segments were taken, at most ten seconds.

use std::error::Error;
use std::time::Duration;

use opentact_carrier::Incoming;
use opentact_carrier::smpp::{SmppCarrier, SmppConfig};
use opentact_engine::ports::{CarrierSubmit, MessageCarrier, Submission};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::mpsc;
use uuid::Uuid;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, system_id, password] = arguments.as_slice() else {
        return Err("usage: smpp_send ADDRESS:PORT SYSTEM_ID PASSWORD".into());
    };
    let (tell, mut incoming) = mpsc::channel(100);
    let carrier = SmppCarrier::start(SmppConfig::new("smpp", address, system_id, password), tell);
    carrier.bound().wait_for(|bound| *bound).await?;
    let mut open = 0;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let mut words = line.splitn(3, ' ');
        if let (Some(from), Some(to), Some(text)) = (words.next(), words.next(), words.next()) {
            let text = text.to_owned();
            let message = CarrierSubmit {
                id: Uuid::new_v4(),
                from: from.parse()?,
                to: to.parse()?,
                text,
                taken: vec![],
                repeated: false,
            };
            let submission = carrier.submit(message).await;
            println!("{submission:?}");
            if let Submission::Accepted { references } = submission {
                open += references.len();
            }
        }
    }
    let receipts = async {
        while open > 0 {
            let Some(Incoming { message, taken, .. }) = incoming.recv().await else { return };
            println!("{message:?}");
            let _ = taken.send(true);
            open -= 1;
        }
    };
    if tokio::time::timeout(Duration::from_secs(10), receipts).await.is_err() {
        println!("{open} without receipt");
    }
    carrier.shutdown().await;
    Ok(())
}
