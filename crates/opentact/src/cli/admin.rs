//! `opentact admin`: what the operator does to the database of a node, running or not.

use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use chrono::{DateTime, Utc};
use clap::{Subcommand, ValueEnum};
use opentact_store::accounts::{Account, NewAccount};
use opentact_store::numbers::Prices;
use opentact_store::transactions::NewTransaction;
use opentact_store::types::{RefType, Role};
use opentact_store::users::{NewUser, User};
use opentact_store::{Money, Store};

use crate::config::Config;
use crate::first_start::random_password;
use crate::wire;

#[derive(Debug, Subcommand)]
pub enum Admin {
    /// List the users of all accounts.
    Users,
    /// Make an account with its first user; prints the password.
    AddAccount { email: String },
    /// Add a user to the account of another; prints the password.
    AddUser {
        email: String,
        /// Email of a user of the account.
        #[arg(long, value_name = "EMAIL")]
        to: String,
        #[arg(long, value_enum, default_value_t = RoleName::User)]
        role: RoleName,
    },
    /// Give a user a new random password; prints it.
    Password { email: String },
    /// Show an account's balance, or book a payment (negative: a correction).
    Balance {
        /// Email of a user of the account.
        email: String,
        #[arg(allow_negative_numbers = true)]
        amount: Option<Money>,
    },
    /// Show what numbers cost an account other than others, or change it.
    Prices {
        /// Email of a user of the account.
        email: String,
        /// Name of the price profile (`long_code`, `toll_free`).
        profile: Option<String>,
        /// What costs what, as in `mrc=0.5 sms_per_send_cost=0.004`; the rest is as in the profile. None: as all others.
        #[arg(value_name = "NAME=AMOUNT")]
        prices: Vec<String>,
        /// Until when (RFC 3339); for ever where it is left out.
        #[arg(long, value_name = "DATE", requires = "prices")]
        until: Option<DateTime<Utc>>,
    },
    /// Make an API token for a user; prints it.
    Key { email: String, name: String },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum RoleName {
    Admin,
    User,
    Provider,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Admin => Self::Admin,
            RoleName::User => Self::User,
            RoleName::Provider => Self::Provider,
        }
    }
}

/// Runs one command against the configured database.
pub fn run(config: &Config, command: Admin) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(&config.general.data).with_context(|| config.general.data.display().to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = wire::open_store(config).await?;
        let done = command.run(&store).await;
        store.close().await?;
        done.map(|()| ExitCode::SUCCESS)
    })
}

impl Admin {
    async fn run(self, store: &Store) -> anyhow::Result<()> {
        match self {
            Self::Users => {
                for account in store.accounts().all().await? {
                    for user in store.users().list(account.uuid).await? {
                        println!("{}  {}  {:<8}  {}", account.uuid, user.uuid, user.role, user.email);
                    }
                }
            }
            Self::AddAccount { email } => {
                let password = random_password();
                let account = NewAccount { name: email.clone(), email: email.clone(), ..NewAccount::default() };
                let owner = NewUser::new(email, password.clone(), Role::Admin);
                let (account, _) = store.users().sign_up(account, owner).await?;
                println!("account {}\npassword {password}", account.uuid);
            }
            Self::AddUser { email, to, role } => {
                let (_, account) = find(store, &to).await?;
                let password = random_password();
                store.users().create(account.uuid, NewUser::new(email, password.clone(), role.into())).await?;
                println!("password {password}");
            }
            Self::Password { email } => {
                let (user, _) = find(store, &email).await?;
                let password = random_password();
                store.users().set_password(user.account, user.uuid, &password).await?;
                println!("password {password}");
            }
            Self::Balance { email, amount } => {
                let (_, account) = find(store, &email).await?;
                let balance = match amount {
                    None => account.balance,
                    Some(amount) => {
                        let payment = NewTransaction {
                            amount,
                            ref_type: RefType::Payment,
                            ref_uuid: None,
                            description: Some("by the operator".to_owned()),
                        };
                        store.transactions().book(account.uuid, payment).await?.account_balance_after
                    }
                };
                println!("{balance}");
            }
            Self::Prices { email, profile, prices, until } => {
                let (_, account) = find(store, &email).await?;
                let numbers = store.numbers();
                if let Some(name) = profile {
                    let profiles = numbers.profiles().await?;
                    let profile = profiles.into_iter().find(|profile| profile.name == name);
                    let profile = profile.ok_or_else(|| anyhow!("there is no price profile {name}"))?;
                    if prices.is_empty() {
                        numbers.remove_special_price(account.uuid, profile.uuid).await?;
                    } else {
                        let special = changed(*profile.prices, &prices)?;
                        numbers.set_special_price(account.uuid, profile.uuid, special, until).await?;
                    }
                }
                for (profile, price) in numbers.special_prices(account.uuid).await? {
                    let until = price.expired_on.map_or_else(|| "for ever".to_owned(), |end| format!("until {end}"));
                    println!("{} {until}: {}", profile.name, serde_json::to_string(&*price.prices)?);
                }
            }
            Self::Key { email, name } => {
                let (user, _) = find(store, &email).await?;
                let (_, token) = store.tokens().create(user.account, user.uuid, &name, None, Vec::new()).await?;
                println!("{token}");
            }
        }
        Ok(())
    }
}

/// The prices with some of them changed.
fn changed(prices: Prices, changes: &[String]) -> anyhow::Result<Prices> {
    let mut all = serde_json::to_value(prices)?;
    for change in changes {
        let (name, amount) = change.split_once('=').ok_or_else(|| anyhow!("{change}: not NAME=AMOUNT"))?;
        let amount: Money = amount.parse().map_err(|error| anyhow!("{change}: {error}"))?;
        let price = all.get_mut(name).ok_or_else(|| anyhow!("{change}: there is no price of this name"))?;
        if amount < Money::ZERO {
            return Err(anyhow!("{change}: must not be negative"));
        }
        *price = serde_json::to_value(amount)?;
    }
    Ok(serde_json::from_value(all)?)
}

async fn find(store: &Store, email: &str) -> anyhow::Result<(User, Account)> {
    let user = store.users().by_email(email).await?.ok_or_else(|| anyhow!("no user has the email {email}"))?;
    let account = store.accounts().get(user.account).await?;
    Ok((user, account))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn accounts_users_balances_and_keys() {
        let store = Store::in_memory().await.unwrap();
        let run = async |command: Admin| command.run(&store).await;
        let email = "a@example.com".to_owned();
        run(Admin::AddAccount { email: email.clone() }).await.unwrap();
        run(Admin::AddUser { email: "b@example.com".to_owned(), to: email.clone(), role: RoleName::User })
            .await
            .unwrap();
        run(Admin::Balance { email: "b@example.com".to_owned(), amount: Some(Money::units(7)) }).await.unwrap();
        run(Admin::Password { email: email.clone() }).await.unwrap();
        run(Admin::Key { email: email.clone(), name: "k".to_owned() }).await.unwrap();
        let (user, account) = find(&store, &email).await.unwrap();
        assert_eq!(account.balance, Money::units(7));
        assert_eq!(store.tokens().list(account.uuid, user.uuid).await.unwrap().len(), 1);
        let prices = async |prices: &[&str]| {
            let prices = prices.iter().map(|one| (*one).to_owned()).collect();
            run(Admin::Prices { email: email.clone(), profile: Some("long_code".to_owned()), prices, until: None })
                .await
        };
        prices(&["mrc=0.5", "sms_per_send_cost=0.004"]).await.unwrap();
        let (profile, special) = store.numbers().special_prices(account.uuid).await.unwrap().remove(0);
        assert_eq!((special.prices.mrc, special.prices.nrc), ("0.5".parse().unwrap(), Money::units(1)));
        assert_eq!(store.numbers().prices_for(account.uuid, profile.uuid).await.unwrap(), *special.prices);
        for wrong in ["mrc", "mrc=-1", "mrc=much", "gold=1"] {
            assert!(prices(&[wrong]).await.is_err(), "{wrong}");
        }
        prices(&[]).await.unwrap();
        assert!(store.numbers().special_prices(account.uuid).await.unwrap().is_empty());
        assert!(run(Admin::Password { email: "nobody@example.com".to_owned() }).await.is_err());
    }
}
