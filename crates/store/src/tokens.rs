//! API tokens.

use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, IntoCondition};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::accounts::Account;
pub use crate::entity::token::Model as Token;
use crate::entity::token::{Column, Entity};
use crate::types::{Json, now};
use crate::users::User;
use crate::{Result, Store, StoreError, entity, owned, secrets};

/// Whether a token of the account is, or was, bound as a receiver.
pub(crate) async fn receives_smpp(db: &impl ConnectionTrait, account: Uuid) -> Result<bool> {
    let bound = Column::Account.eq(account).and(Column::SmppBoundOn.is_not_null()).into_condition();
    Ok(owned::count::<Entity>(db, bound).await? > 0)
}

/// Digits of a token's uuid in its system id, which SMPP 3.4 gives 15 characters.
const SYSTEM_ID: usize = 14;
const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

impl Store {
    pub fn tokens(&self) -> Tokens<'_> {
        Tokens { store: self }
    }
}

pub struct Tokens<'a> {
    store: &'a Store,
}

impl Tokens<'_> {
    /// Makes a token; the text is returned once and kept nowhere. `ttl` `None` never expires.
    pub async fn create(
        &self,
        account: Uuid,
        user: Uuid,
        name: &str,
        ttl: Option<Duration>,
        scopes: Vec<String>,
    ) -> Result<(Token, String)> {
        owned::check::<entity::user::Entity>(self.store.reader(), account, Some(user)).await?;
        let text = secrets::new_token();
        let created_on = now();
        let token = Token {
            uuid: Uuid::new_v4(),
            created_on,
            modified_on: created_on,
            account,
            user,
            name: name.to_owned(),
            hash: secrets::token_hash(&text),
            masked: secrets::mask_token(&text),
            scopes: Json(scopes),
            expired_on: ttl.map(|ttl| created_on + ttl),
            smpp_bound_on: None,
        };
        owned::insert(self.store.writer(), token.clone()).await?;
        Ok((token, text))
    }

    /// Whose token this is; `None` when unknown, expired, or of a deactivated user or account.
    pub async fn authenticate(&self, text: &str) -> Result<Option<(Token, User, Account)>> {
        let found = self.store.rows().tokens.get(self.store, secrets::token_hash(text)).await?;
        Ok(found.filter(is_active))
    }

    /// System id and password by which SMPP software binds with a token: a password of SMPP 3.4 has no more than 8
    /// characters. The same as long as the key of the database is.
    pub fn smpp_login(&self, token: Uuid) -> (String, String) {
        let key = self.store.derived_key(&format!("smpp/{token}"));
        let password =
            key.iter().take(8).map(|octet| char::from(ALPHANUMERIC[usize::from(*octet) % ALPHANUMERIC.len()]));
        let head: String = token.simple().to_string().chars().take(SYSTEM_ID).collect();
        (format!("t{head}"), password.collect())
    }

    /// Whose these are; as [`Tokens::authenticate`].
    pub async fn authenticate_smpp(&self, system_id: &str, password: &str) -> Result<Option<(Token, User, Account)>> {
        let Some(head) = system_id.strip_prefix('t').filter(|head| head.len() == SYSTEM_ID) else { return Ok(None) };
        let bound = |fill: &str| Uuid::try_parse(&format!("{head}{}", fill.repeat(32 - SYSTEM_ID)));
        let (Ok(low), Ok(high)) = (bound("0"), bound("f")) else { return Ok(None) };
        let known = Entity::find().filter(Column::Uuid.between(low, high)).all(self.store.reader()).await?;
        let theirs = known.into_iter().find(|token| {
            let (id, right) = self.smpp_login(token.uuid);
            // Hashes: how long it takes tells nothing of the password.
            id == system_id && secrets::token_hash(&right) == secrets::token_hash(password)
        });
        match theirs {
            Some(token) => Ok(self.store.rows().tokens.get(self.store, token.hash).await?.filter(is_active)),
            None => Ok(None),
        }
    }

    /// A receiver is bound with it: from now on its account's inbound messages are kept for SMPP.
    pub async fn smpp_bound(&self, token: Uuid) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::SmppBoundOn, Expr::value(now()))
            .filter(Column::Uuid.eq(token))
            .exec(self.store.writer())
            .await?;
        Ok(())
    }

    pub async fn get(&self, account: Uuid, user: Uuid, uuid: Uuid) -> Result<Token> {
        let token = owned::get::<Entity>(self.store.reader(), account, uuid).await?;
        if token.user == user { Ok(token) } else { Err(StoreError::NotFound("Token")) }
    }

    /// The user's tokens, oldest first.
    pub async fn list(&self, account: Uuid, user: Uuid) -> Result<Vec<Token>> {
        let mine = Entity::find().filter(Column::Account.eq(account)).filter(Column::User.eq(user));
        Ok(mine.order_by_asc(Column::CreatedOn).all(self.store.reader()).await?)
    }

    /// Changes name, scopes or expiry.
    pub async fn update(
        &self,
        account: Uuid,
        user: Uuid,
        uuid: Uuid,
        change: impl FnOnce(&mut Token) + Send,
    ) -> Result<Token> {
        let tx = self.store.begin().await?;
        let old = owned::get::<Entity>(&tx, account, uuid).await?;
        if old.user != user {
            return Err(StoreError::NotFound("Token"));
        }
        let mut row = old.clone();
        change(&mut row);
        let row = Token { modified_on: now(), name: row.name, scopes: row.scopes, expired_on: row.expired_on, ..old };
        owned::update::<Entity>(&tx, account, uuid, row.clone()).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// Deletes by uuid or by the token's own text.
    pub async fn delete(&self, account: Uuid, user: Uuid, uuid_or_text: &str) -> Result<()> {
        let which = match Uuid::try_parse(uuid_or_text) {
            Ok(uuid) => Column::Uuid.eq(uuid),
            Err(_) => Column::Hash.eq(secrets::token_hash(uuid_or_text)),
        };
        let mine = Column::Account.eq(account).and(Column::User.eq(user));
        match Entity::delete_many().filter(mine.and(which)).exec(self.store.writer()).await?.rows_affected {
            0 => Err(StoreError::NotFound("Token")),
            _ => Ok(()),
        }
    }

    /// Deletes all of the user's; returns how many.
    pub async fn delete_all(&self, account: Uuid, user: Uuid) -> Result<u64> {
        let mine = Column::Account.eq(account).and(Column::User.eq(user));
        Ok(Entity::delete_many().filter(mine).exec(self.store.writer()).await?.rows_affected)
    }

    /// Deletes what has expired, of all accounts.
    pub async fn purge_expired(&self) -> Result<u64> {
        let expired = Column::ExpiredOn.lte(now());
        Ok(Entity::delete_many().filter(expired).exec(self.store.writer()).await?.rows_affected)
    }
}

fn is_active((token, user, account): &(Token, User, Account)) -> bool {
    let expired = token.expired_on.is_some_and(|end| end <= now());
    !expired && user.deleted_on.is_none() && account.deleted_on.is_none()
}
