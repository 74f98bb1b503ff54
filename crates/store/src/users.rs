//! Users: the people of an account.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{ExprTrait, IntoCondition};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::accounts::{Account, NewAccount};
pub use crate::entity::user::Model as User;
use crate::entity::user::{Column, Entity};
use crate::error::OrConflict;
use crate::password_resets::{self, PasswordReset};
use crate::types::{Gender, Role, now};
use crate::{Result, Store, StoreError, accounts, avatars, entity, owned, secrets};

/// A user to be.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub email: String,
    pub password: String,
    pub role: Role,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub phone_number: Option<String>,
    pub avatar: Option<String>,
    pub gender: Option<Gender>,
    pub dob: Option<String>,
}

impl NewUser {
    pub fn new(email: impl Into<String>, password: impl Into<String>, role: Role) -> NewUser {
        NewUser {
            email: email.into(),
            password: password.into(),
            role,
            first_name: None,
            last_name: None,
            phone_number: None,
            avatar: None,
            gender: None,
            dob: None,
        }
    }
}

impl Store {
    pub fn users(&self) -> Users<'_> {
        Users { store: self }
    }
}

pub struct Users<'a> {
    store: &'a Store,
}

impl Users<'_> {
    /// Adds a user. [`StoreError::Conflict`] when the email address is taken, in whatever account.
    pub async fn create(&self, account: Uuid, new: NewUser) -> Result<User> {
        let user = row(account, new).await?;
        owned::insert(self.store.writer(), user.clone()).await.or_conflict("User")?;
        Ok(user)
    }

    /// Makes an account and its first user, both or neither.
    pub async fn sign_up(&self, account: NewAccount, new: NewUser) -> Result<(Account, User)> {
        // The costly hash comes before the database is held.
        let mut user = row(Uuid::nil(), new).await?;
        let tx = self.store.begin().await?;
        let account = accounts::insert(&tx, account).await?;
        user.account = account.uuid;
        owned::insert(&tx, user.clone()).await.or_conflict("User")?;
        tx.commit().await?;
        Ok((account, user))
    }

    pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<User> {
        owned::get::<Entity>(self.store.reader(), account, uuid).await
    }

    /// The account's users, oldest first.
    pub async fn list(&self, account: Uuid) -> Result<Vec<User>> {
        owned::list::<Entity>(self.store.reader(), account).await
    }

    /// By email address, over all accounts: for sign-in.
    pub async fn by_email(&self, email: &str) -> Result<Option<User>> {
        Ok(Entity::find().filter(Column::Email.eq(email.to_lowercase())).one(self.store.reader()).await?)
    }

    /// The active user with this id, of whatever account, and the active account: for credentials that name a
    /// user only.
    pub async fn active(&self, uuid: Uuid) -> Result<Option<(User, Account)>> {
        let found = Entity::find_by_id(uuid).find_also_related(entity::account::Entity);
        let Some((user, Some(account))) = found.one(self.store.reader()).await? else { return Ok(None) };
        let active = user.deleted_on.is_none() && account.deleted_on.is_none();
        Ok(active.then_some((user, account)))
    }

    /// The user with this email address and password, and the account; `None` when there is none, one of
    /// them is deactivated, or the password is wrong. Each case takes the time of one argon2id.
    pub async fn authenticate(&self, email: &str, password: &str) -> Result<Option<(User, Account)>> {
        let user = self.by_email(email).await?;
        let hash = user.as_ref().map_or(secrets::NOBODY, |user| &user.password_hash);
        let right = secrets::verify_password(password, hash).await?;
        let Some(user) = user.filter(|user| right && user.deleted_on.is_none()) else { return Ok(None) };
        let account = self.store.accounts().get(user.account).await?;
        Ok(account.deleted_on.is_none().then_some((user, account)))
    }

    /// Changes what the closure changes; id, account, password and date of creation stay. [`StoreError::LastAdmin`] when
    /// nobody could administrate the account then.
    pub async fn update(&self, account: Uuid, uuid: Uuid, change: impl FnOnce(&mut User) + Send) -> Result<User> {
        let tx = self.store.begin().await?;
        let old = owned::get::<Entity>(&tx, account, uuid).await?;
        let mut row = old.clone();
        change(&mut row);
        row = User {
            uuid: old.uuid,
            account: old.account,
            created_on: old.created_on,
            password_hash: old.password_hash,
            signed_out_on: old.signed_out_on,
            email: row.email.to_lowercase(),
            modified_on: now(),
            ..row
        };
        if administrates(old.role, old.deleted_on) && !administrates(row.role, row.deleted_on) {
            // Two Admins must not take each other's place away at once.
            accounts::lock(&tx, account).await?;
            let others = Column::Account.eq(account).and(Column::Uuid.ne(uuid)).and(Column::Role.eq(Role::Admin));
            let others = others.and(Column::DeletedOn.is_null()).into_condition();
            if owned::count::<Entity>(&tx, others).await? == 0 {
                return Err(StoreError::LastAdmin);
            }
        }
        owned::update::<Entity>(&tx, account, uuid, row.clone()).await.map_err(name_conflict)?;
        if row.avatar != old.avatar {
            avatars::forget(&tx, uuid, row.avatar.as_deref()).await?;
        }
        tx.commit().await?;
        Ok(row)
    }

    /// Sets it, and makes the JWTs issued so far void, and the token that was to set it anew.
    pub async fn set_password(&self, account: Uuid, uuid: Uuid, password: &str) -> Result<User> {
        self.write_password(account, uuid, password, None).await
    }

    /// Sets the password of the user whom a token of [`crate::password_resets`] was made for.
    pub async fn reset_password(&self, reset: &PasswordReset, password: &str) -> Result<User> {
        self.write_password(reset.account, reset.subject, password, Some(reset)).await
    }

    async fn write_password(
        &self,
        account: Uuid,
        uuid: Uuid,
        password: &str,
        reset: Option<&PasswordReset>,
    ) -> Result<User> {
        let hash = secrets::hash_password(password).await?;
        let tx = self.store.begin().await?;
        match reset {
            Some(reset) => password_resets::take(&tx, reset).await?,
            None => password_resets::void(&tx, uuid).await?,
        }
        let mut row = owned::get::<Entity>(&tx, account, uuid).await?;
        row.password_hash = hash;
        row.modified_on = now();
        row.signed_out_on = Some(row.modified_on);
        owned::update::<Entity>(&tx, account, uuid, row.clone()).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// Deactivates (`true`) or reactivates a user.
    pub async fn set_deleted(&self, account: Uuid, uuid: Uuid, deleted: bool) -> Result<User> {
        self.update(account, uuid, |user| user.deleted_on = deleted.then(now)).await
    }
}

fn administrates(role: Role, deleted_on: Option<DateTime<Utc>>) -> bool {
    role == Role::Admin && deleted_on.is_none()
}

fn name_conflict(error: StoreError) -> StoreError {
    match error {
        StoreError::Conflict(_) => StoreError::Conflict("User"),
        other => other,
    }
}

async fn row(account: Uuid, new: NewUser) -> Result<User> {
    let password_hash = secrets::hash_password(&new.password).await?;
    let created_on = now();
    Ok(User {
        uuid: Uuid::new_v4(),
        created_on,
        modified_on: created_on,
        account,
        email: new.email.to_lowercase(),
        password_hash,
        role: new.role,
        first_name: new.first_name,
        last_name: new.last_name,
        phone_number: new.phone_number,
        avatar: new.avatar,
        gender: new.gender,
        dob: new.dob,
        deleted_on: None,
        signed_out_on: None,
    })
}
