//! Uploaded images of users and SIP users, whose `avatar` is the URL with the image's id. An image that is not named there any more
//! is gone with the change that took the name away.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect};
use uuid::Uuid;

pub use crate::entity::avatar::Model as Avatar;
use crate::entity::avatar::{Column, Entity};
use crate::types::now;
use crate::{Result, Store, StoreError};

impl Store {
    pub fn avatars(&self) -> Avatars<'_> {
        Avatars { store: self }
    }
}

pub struct Avatars<'a> {
    store: &'a Store,
}

impl Avatars<'_> {
    /// Keeps an image until its owner's `avatar` changes to something that does not name it.
    pub async fn add(&self, owner: Uuid, content_type: &str, image: Vec<u8>) -> Result<Uuid> {
        let uuid = Uuid::new_v4();
        let avatar = Avatar { uuid, created_on: now(), owner, content_type: content_type.to_owned(), image };
        Entity::insert(avatar.into_active_model()).exec_without_returning(self.store.writer()).await?;
        Ok(uuid)
    }

    /// Whoever's it is: who knows the id may see it.
    pub async fn get(&self, uuid: Uuid) -> Result<Avatar> {
        Entity::find_by_id(uuid).one(self.store.reader()).await?.ok_or(StoreError::NotFound("Avatar"))
    }
}

/// Deletes the images of an owner that its `avatar` does not name.
pub(crate) async fn forget(db: &impl ConnectionTrait, owner: Uuid, avatar: Option<&str>) -> Result<()> {
    let theirs = Entity::find().select_only().column(Column::Uuid).filter(Column::Owner.eq(owner));
    let mut unnamed: Vec<Uuid> = theirs.into_tuple().all(db).await?;
    unnamed.retain(|uuid| !avatar.is_some_and(|url| url.contains(&uuid.to_string())));
    if !unnamed.is_empty() {
        Entity::delete_many().filter(Column::Uuid.is_in(unnamed)).exec(db).await?;
    }
    Ok(())
}
