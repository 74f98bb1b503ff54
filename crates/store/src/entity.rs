//! Rows. Each `Model` is the plain struct that the functions of [`crate::Store`] return.

pub mod account;
pub mod address;
pub mod avatar;
pub mod batch;
pub mod batch_item;
pub mod call;
pub mod call_flow_log;
pub mod cart_entry;
pub mod event;
pub mod idempotency_key;
pub mod lerg_block;
pub mod mail;
pub mod messaging_profile;
pub mod office_hours;
pub mod outbound_voice_profile;
pub mod password_reset;
pub mod record;
pub mod registration;
pub mod shaken_certificate;
pub mod sip_connection;
pub mod sip_control_app;
pub mod sip_domain;
pub mod sip_invite;
pub mod sip_message;
pub mod sip_product;
pub mod sip_switch;
pub mod sip_user;
pub mod sip_user_group;
pub mod smpp_inbound;
pub mod smpp_submit;
pub mod sms;
pub mod sms_inbound_segment;
pub mod sms_opt_out;
pub mod sms_queue;
pub mod sms_segment;
pub mod sms_untold;
pub mod subscription;
pub mod tcr_brand;
pub mod tcr_campaign;
pub mod tech_prefix;
pub mod tn;
pub mod tn_filter;
pub mod tn_lease;
pub mod tn_order;
pub mod tn_profile;
pub mod tn_special_price;
pub mod token;
pub mod transaction;
pub mod transcript;
pub mod user;
pub mod webhook_attempt;
pub mod webhook_delivery;

pub(crate) type Date = chrono::DateTime<chrono::Utc>;

/// No relations and no hooks: joins are written where they are asked for.
macro_rules! plain {
    () => {
        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}

        impl ActiveModelBehavior for ActiveModel {}
    };
}
use plain;
