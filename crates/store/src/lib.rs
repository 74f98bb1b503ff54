//! The database: rows, migrations, queries. SQLite and PostgreSQL, one schema.
//!
//! It knows the database and no business rule: it keeps what must be true of the rows themselves (one lease
//! a number, nothing deleted that is still pointed at, a balance that is the sum of its transactions) and
//! leaves prices, permissions and states to those above it.
//!
//! The one invariant: everything an account owns is read, changed and deleted with the account's id. The few
//! functions without one serve the router and the schedulers, and say so.

pub mod accounts;
pub mod addresses;
pub mod apps;
pub mod avatars;
pub mod batches;
mod bulk;
pub mod calls;
pub mod cart;
pub mod connections;
pub mod domains;
pub mod entity;
mod error;
pub mod events;
pub mod idempotency;
mod keyring;
mod kinds;
pub mod lerg;
pub mod mails;
pub mod messaging_profiles;
mod migration;
pub mod numbers;
pub mod office_hours;
mod owned;
pub mod password_resets;
pub mod products;
pub mod records;
pub mod registrations;
mod rows;
pub mod search;
pub mod secrets;
pub mod shaken_certificates;
pub mod sip_invites;
pub mod sip_messages;
pub mod sip_switches;
pub mod sip_user_groups;
pub mod sip_users;
pub mod smpp;
pub mod sms;
pub mod sms_inbound;
pub mod sms_opt_outs;
mod sms_queue;
mod sms_receipts;
pub mod sms_untold;
mod store;
pub mod subscriptions;
pub mod tcr;
mod tech_prefix;
pub mod tn_filters;
mod together;
pub mod tokens;
pub mod transactions;
pub mod transcripts;
pub mod types;
pub mod users;
pub mod voice_profiles;
pub mod webhooks;
mod writer;

pub use error::{Result, StoreError, UnknownWord};
pub use keyring::Keyring;
pub use search::{Found, Search};
pub use secrets::Ha1;
pub use store::{Settings, Store, Synchronous};
pub use types::{Json, Money, Tn};
