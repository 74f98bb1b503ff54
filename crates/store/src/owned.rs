//! What all rows of an account have in common.

use sea_orm::sea_query::{ExprTrait, IntoCondition};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QueryOrder, QueryTrait,
};
use uuid::Uuid;

use crate::entity;
use crate::types::now;
use crate::writer::Db;
use crate::{Result, StoreError};

/// An entity with a `uuid` that belongs to an account.
pub(crate) trait Owned: EntityTrait<Model: Send + Sync> {
    /// As error messages call it.
    const NAME: &'static str;
    const ACCOUNT: Self::Column;
    const UUID: Self::Column;
    const CREATED_ON: Self::Column;
}

macro_rules! owned {
    ($($module:ident = $name:literal),+ $(,)?) => {
        impl crate::Store {
            /// Whether another account has a row with this id. `entity` is the name in [`StoreError::NotFound`]:
            /// tells what is not there from what is not the account's to see.
            pub async fn belongs_to_another(&self, account: Uuid, entity: &str, uuid: Uuid) -> Result<bool> {
                let count = match entity {
                    $($name => {
                        type E = entity::$module::Entity;
                        let theirs = <E as Owned>::UUID.eq(uuid).and(<E as Owned>::ACCOUNT.ne(account));
                        count::<E>(self.reader(), theirs.into_condition()).await?
                    })+
                    _ => 0,
                };
                Ok(count > 0)
            }
        }

        $(impl Owned for entity::$module::Entity {
            const NAME: &'static str = $name;
            const ACCOUNT: Self::Column = entity::$module::Column::Account;
            const UUID: Self::Column = entity::$module::Column::Uuid;
            const CREATED_ON: Self::Column = entity::$module::Column::CreatedOn;
        })+
    };
}

owned! {
    user = "User",
    token = "Token",
    address = "Address",
    office_hours = "OfficeHours",
    cart_entry = "CartEntry",
    messaging_profile = "MessagingProfile",
    sip_control_app = "SIPControlApp",
    sip_connection = "SIPConnection",
    outbound_voice_profile = "OutboundVoiceProfile",
    sip_domain = "SIPDomain",
    sip_invite = "SIPInvite",
    sip_switch = "SIPSwitch",
    sip_user = "SIPUser",
    sip_user_group = "SIPUserGroup",
    tn_filter = "TNFilter",
    tn_order = "TNOrder",
    tn_lease = "TNLease",
    batch = "Batch",
    call = "Call",
    call_flow_log = "CallFlowLog",
    record = "Record",
    sms = "SMS",
    sms_opt_out = "OptOut",
    tcr_brand = "Brand",
    tcr_campaign = "Campaign",
    shaken_certificate = "ShakenCertificate",
    sip_message = "SIPMessage",
    subscription = "Subscription",
    transaction = "Transaction",
    transcript = "Transcript",
    webhook_delivery = "WebhookDelivery",
}

/// An owned entity that says who made and who changed it.
pub(crate) trait Authored: Owned<Model: Clone> {
    /// Puts back what a change must not touch, and says who made it.
    fn sign(row: &mut Self::Model, old: &Self::Model, by: Option<Uuid>);
}

macro_rules! authored {
    ($($module:ident),+ $(,)?) => {
        $(impl Authored for entity::$module::Entity {
            fn sign(row: &mut Self::Model, old: &Self::Model, by: Option<Uuid>) {
                (row.uuid, row.account) = (old.uuid, old.account);
                (row.created_on, row.created_by) = (old.created_on, old.created_by);
                (row.modified_on, row.modified_by) = (now(), by);
            }
        })+
    };
}

authored!(
    address,
    messaging_profile,
    office_hours,
    outbound_voice_profile,
    shaken_certificate,
    sip_connection,
    sip_control_app,
    sip_domain,
    sip_invite,
    sip_switch,
    sip_user,
    sip_user_group,
    tcr_brand,
    tcr_campaign,
    tn_filter,
    tn_lease,
);

fn of<E: Owned>(account: Uuid, uuid: Uuid) -> Condition {
    E::ACCOUNT.eq(account).and(E::UUID.eq(uuid)).into_condition()
}

/// The account's row with this id.
pub(crate) async fn get<E: Owned>(db: &impl ConnectionTrait, account: Uuid, uuid: Uuid) -> Result<E::Model> {
    E::find().filter(of::<E>(account, uuid)).one(db).await?.ok_or(StoreError::NotFound(E::NAME))
}

/// All rows of the account, oldest first.
pub(crate) async fn list<E: Owned>(db: &impl ConnectionTrait, account: Uuid) -> Result<Vec<E::Model>> {
    Ok(E::find().filter(E::ACCOUNT.eq(account)).order_by_asc(E::CREATED_ON).all(db).await?)
}

/// Fails unless the account has a row with this id; `None` is fine.
pub(crate) async fn check<E: Owned>(db: &impl ConnectionTrait, account: Uuid, uuid: Option<Uuid>) -> Result<()> {
    let Some(uuid) = uuid else { return Ok(()) };
    match count::<E>(db, of::<E>(account, uuid)).await? {
        0 => Err(StoreError::NotFound(E::NAME)),
        _ => Ok(()),
    }
}

pub(crate) async fn count<E: EntityTrait<Model: Send + Sync>>(
    db: &impl ConnectionTrait,
    condition: Condition,
) -> Result<u64, DbErr> {
    E::find().filter(condition).count(db).await
}

/// Fails when the account has as many rows as it may; `field` and `what` are for the message.
pub(crate) async fn refuse_beyond<E: Owned>(
    db: &impl ConnectionTrait,
    account: Uuid,
    most: u64,
    field: &'static str,
    what: &str,
) -> Result<()> {
    if count::<E>(db, E::ACCOUNT.eq(account).into_condition()).await? >= most {
        return Err(StoreError::invalid(field, format!("an account has at most {most} {what}")));
    }
    Ok(())
}

/// Fails with [`StoreError::InUse`] when a row of `R` meets the condition.
pub(crate) async fn refuse_if_used<E: Owned, R: Owned>(
    db: &impl ConnectionTrait,
    condition: impl IntoCondition,
) -> Result<()> {
    match count::<R>(db, condition.into_condition()).await? {
        0 => Ok(()),
        _ => Err(StoreError::InUse { entity: E::NAME, by: R::NAME }),
    }
}

pub(crate) async fn delete<E: Owned>(db: &impl ConnectionTrait, account: Uuid, uuid: Uuid) -> Result<()> {
    match E::delete_many().filter(of::<E>(account, uuid)).exec(db).await?.rows_affected {
        0 => Err(StoreError::NotFound(E::NAME)),
        _ => Ok(()),
    }
}

/// Writes a new row, every column of it.
pub(crate) async fn insert<A: ActiveModelTrait>(db: &impl Db, row: impl IntoActiveModel<A>) -> Result<(), DbErr> {
    db.run(A::Entity::insert(row.into_active_model().reset_all()).build(db.backend())).await.map(drop)
}

/// The account's row with this id, as it is and as `change` wants it: id, account and creation stay. Not written yet.
pub(crate) async fn revised<E: Authored>(
    db: &impl ConnectionTrait,
    account: Uuid,
    uuid: Uuid,
    by: Option<Uuid>,
    change: impl FnOnce(&mut E::Model) + Send,
) -> Result<(E::Model, E::Model)> {
    let old = get::<E>(db, account, uuid).await?;
    let mut row = old.clone();
    change(&mut row);
    E::sign(&mut row, &old, by);
    Ok((old, row))
}

/// Writes every column of a row that exists.
pub(crate) async fn update<E: Owned>(
    db: &impl ConnectionTrait,
    account: Uuid,
    uuid: Uuid,
    row: impl IntoActiveModel<E::ActiveModel>,
) -> Result<()> {
    let row = row.into_active_model().reset_all();
    match E::update_many().set(row).filter(of::<E>(account, uuid)).exec(db).await?.rows_affected {
        0 => Err(StoreError::NotFound(E::NAME)),
        _ => Ok(()),
    }
}
