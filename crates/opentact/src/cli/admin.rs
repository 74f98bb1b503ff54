//! `opentact admin`: what the operator does to the database of a node, running or not.

use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::{Subcommand, ValueEnum};
use opentact_store::accounts::{Account, NewAccount};
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
            Self::Key { email, name } => {
                let (user, _) = find(store, &email).await?;
                let (_, token) = store.tokens().create(user.account, user.uuid, &name, None, Vec::new()).await?;
                println!("{token}");
            }
        }
        Ok(())
    }
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
        assert!(run(Admin::Password { email: "nobody@example.com".to_owned() }).await.is_err());
    }
}
