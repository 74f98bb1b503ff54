//! The simulated SMSC by itself: `cargo run -p opentact-carrier --example dev_smsc -- [ADDRESS:PORT]`.
//!
//! Prints where it listens. Bind with system id `opentact`, password `opentact`. Each line of the standard input,
//! `FROM TO TEXT`, is a message that arrives from the network. Ends with the input.

use std::error::Error;

use opentact_carrier::dev::{Smsc, SmscConfig};
use tokio::io::{AsyncBufReadExt, BufReader};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = SmscConfig::default();
    if let Some(listen) = std::env::args().nth(1) {
        config.listen = listen.parse()?;
    }
    let smsc = Smsc::start(config, None).await?;
    println!("{}", smsc.address());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let mut words = line.splitn(3, ' ');
        if let (Some(from), Some(to), Some(text)) = (words.next(), words.next(), words.next()) {
            smsc.text(from.parse()?, to.parse()?, text)?;
        }
    }
    smsc.shutdown().await;
    Ok(())
}
