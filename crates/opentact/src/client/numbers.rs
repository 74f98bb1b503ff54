//! `opentact numbers`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Api, Server};

#[derive(Debug, Subcommand)]
pub enum Numbers {
    /// Numbers for sale.
    Search(Search),
    /// Order numbers and wait until they are yours.
    Order(Order),
    /// Your numbers.
    List(List),
}

#[derive(Debug, Args)]
pub struct Search {
    /// Area code.
    #[arg(long)]
    npa: Option<String>,
    /// State or province, two letters.
    #[arg(long)]
    state: Option<String>,
    /// `long_code` or `toll_free`.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    #[arg(long, default_value_t = 10)]
    take: u32,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub struct Order {
    /// Numbers with country code.
    #[arg(required = true)]
    numbers: Vec<u64>,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub struct List {
    #[arg(long, default_value_t = 100)]
    take: u32,
    #[command(flatten)]
    server: Server,
}

impl Numbers {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Search(search) => search.run().await,
            Self::Order(order) => order.run().await,
            Self::List(list) => list.run().await,
        }
    }
}

impl Search {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let mut body = json!({"take": self.take});
        for (name, value) in [("npa", self.npa), ("state", self.state), ("type", self.kind)] {
            if let Some(value) = value {
                body[name] = json!(value);
            }
        }
        let found = self.server.connect()?.post("/rest/tn/search", &body).await?;
        for item in rows(&found) {
            println!(
                "{}  {:<9}  {:<2}  {:<20}  {:>6} + {:>6}/month",
                item["tn"],
                word(&item["type"]),
                word(&item["state"]),
                word(&item["rate_center"]),
                item["nrc"],
                item["mrc"],
            );
        }
        println!("{} of {}", rows(&found).len(), found["total"]);
        Ok(ExitCode::SUCCESS)
    }
}

impl Order {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let api = self.server.connect()?;
        let items: Vec<Value> =
            self.numbers.iter().map(|tn| json!({"tn": tn, "features": ["voice", "sms"], "autorenew": true})).collect();
        let mut order = api.post("/rest/order", &json!({"items": items})).await?;
        let Some(uuid) = order["uuid"].as_str().map(str::to_owned) else { bail!("the answer has no order: {order}") };
        // An order is done within seconds; after a minute something is wrong.
        for _ in 0..120 {
            order = finished(&api, &uuid).await?.unwrap_or(order);
            if matches!(word(&order["state"]), "success" | "failed") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        println!("order {uuid}: {}, {} of {} numbers", word(&order["state"]), order["success"], order["total"]);
        for error in order["errors"].as_array().into_iter().flatten() {
            println!("  {}: {}", error["item"], word(&error["reason"]));
        }
        Ok(if order["state"] == "success" { ExitCode::SUCCESS } else { ExitCode::from(2) })
    }
}

async fn finished(api: &Api, uuid: &str) -> anyhow::Result<Option<Value>> {
    let order = api.get(&format!("/rest/order/{uuid}")).await?;
    Ok(order["state"].is_string().then_some(order))
}

impl List {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let leases = self.server.connect()?.post("/rest/lease/tn/search", &json!({"take": self.take})).await?;
        for lease in rows(&leases) {
            let tn = if lease["tn"].is_object() { &lease["tn"]["tn"] } else { &lease["tn"] };
            println!("{tn}  until {}  {}", word(&lease["expired_on"]), target(lease));
        }
        println!("{} of {}", rows(&leases).len(), leases["total"]);
        Ok(ExitCode::SUCCESS)
    }
}

/// Where calls to a leased number go.
fn target(lease: &Value) -> String {
    ["sip_control_app", "sip_connection", "sip_user"].iter().find(|name| !lease[**name].is_null()).map_or_else(
        || "no voice target".to_owned(),
        |name| {
            let object = &lease[*name];
            let label = object["name"].as_str().or(object["login"].as_str()).or(object.as_str()).unwrap_or_default();
            format!("{} {label}", name.replace('_', " "))
        },
    )
}

fn rows(found: &Value) -> &[Value] {
    found["data"].as_array().map_or(&[], Vec::as_slice)
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}
