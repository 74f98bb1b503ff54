//! Rows that are read by their key all the time: for each request, message or callback.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use futures_util::FutureExt;
use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, Select};
use uuid::Uuid;

use crate::accounts::Account;
use crate::entity::{account, messaging_profile, sms, sms_opt_out, tn, tn_lease, token, user};
use crate::messaging_profiles::MessagingProfile;
use crate::numbers::{self, Number, Prices, TnLease};
use crate::sms::Sms;
use crate::together::Together;
use crate::tokens::Token;
use crate::types::Tn;
use crate::users::User;
use crate::{Result, Store};

#[derive(Debug)]
pub(crate) struct Rows {
    pub accounts: Arc<Together<Uuid, Account>>,
    /// By the hash of their text; with whose they are.
    pub tokens: Arc<Together<String, (Token, User, Account)>>,
    /// Active ones.
    pub leases: Arc<Together<Tn, TnLease>>,
    pub numbers: Arc<Together<Tn, Number>>,
    /// Of accounts for numbers of price profiles.
    pub prices: Arc<Together<(Uuid, Uuid), Prices>>,
    pub messaging_profiles: Arc<Together<Uuid, MessagingProfile>>,
    pub messages: Arc<Together<Uuid, Sms>>,
    /// Which numbers are on which lists, and whose those are.
    pub opt_outs: Arc<Together<(Uuid, Tn), Uuid>>,
}

impl Rows {
    pub fn new() -> Rows {
        Rows {
            accounts: Together::new(|store, keys| {
                let rows = account::Entity::find().filter(account::Column::Uuid.is_in(keys));
                read(store, rows, |row| row.uuid).boxed()
            }),
            tokens: Together::new(|store, keys| tokens(store, keys).boxed()),
            leases: Together::new(|store, keys| {
                let active = tn_lease::Column::Tn.is_in(keys).and(tn_lease::Column::ReleasedOn.is_null());
                read(store, tn_lease::Entity::find().filter(active), |row| row.tn).boxed()
            }),
            numbers: Together::new(|store, keys| {
                read(store, tn::Entity::find().filter(tn::Column::Tn.is_in(keys)), |row| row.tn).boxed()
            }),
            prices: Together::new(|store, keys| numbers::prices(store, keys).boxed()),
            messaging_profiles: Together::new(|store, keys| {
                let rows = messaging_profile::Entity::find().filter(messaging_profile::Column::Uuid.is_in(keys));
                read(store, rows, |row| row.uuid).boxed()
            }),
            messages: Together::new(|store, keys| {
                read(store, sms::Entity::find().filter(sms::Column::Uuid.is_in(keys)), |row| row.uuid).boxed()
            }),
            opt_outs: Together::new(|store, keys| opt_outs(store, keys).boxed()),
        }
    }
}

async fn read<E: EntityTrait<Model: Send + Sync>, K: Hash + Eq>(
    store: Store,
    rows: Select<E>,
    key: fn(&E::Model) -> K,
) -> Result<HashMap<K, E::Model>> {
    Ok(rows.all(store.reader()).await?.into_iter().map(|row| (key(&row), row)).collect())
}

async fn tokens(store: Store, hashes: Vec<String>) -> Result<HashMap<String, (Token, User, Account)>> {
    let tokens = token::Entity::find().filter(token::Column::Hash.is_in(hashes));
    let rows = tokens.find_also_related(user::Entity).find_also_related(account::Entity).all(store.reader()).await?;
    let whole = rows.into_iter().filter_map(|(token, user, account)| Some((token, user?, account?)));
    Ok(whole.map(|row| (row.0.hash.clone(), row)).collect())
}

async fn opt_outs(store: Store, keys: Vec<(Uuid, Tn)>) -> Result<HashMap<(Uuid, Tn), Uuid>> {
    use sms_opt_out::Column;
    let one = |(scope, tn): (Uuid, Tn)| Column::Scope.eq(scope).and(Column::Tn.eq(tn));
    let any = keys.into_iter().map(one).fold(Condition::any(), Condition::add);
    let rows = sms_opt_out::Entity::find().filter(any).all(store.reader()).await?;
    Ok(rows.into_iter().map(|row| ((row.scope, row.tn), row.account)).collect())
}
