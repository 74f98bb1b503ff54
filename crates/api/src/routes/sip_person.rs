//! SIP users as they describe themselves, and as the account does.

use opentact_store::sip_users::{NewSipUser, SipUser};
use opentact_store::types::Gender;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::types::{self, Change};

/// A SIP user to be.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct NewSipPerson {
    /// User part of the SIP address.
    #[schema(schema_with = types::sip_login)]
    login: String,
    /// Not stored: only the digest secrets made of it are.
    #[schema(min_length = 8, max_length = 255)]
    password: String,
    #[schema(min_length = 1, max_length = 24)]
    first_name: Option<String>,
    #[schema(min_length = 1, max_length = 24)]
    last_name: Option<String>,
    #[schema(schema_with = types::email)]
    email: Option<String>,
    #[schema(min_length = 3, max_length = 16)]
    phone_number: Option<String>,
    #[schema(min_length = 10, max_length = 255)]
    avatar: Option<String>,
    #[schema(format = Date)]
    dob: Option<String>,
    #[schema(schema_with = types::gender)]
    gender: Option<Gender>,
}

impl From<NewSipPerson> for NewSipUser {
    fn from(form: NewSipPerson) -> Self {
        Self {
            login: form.login,
            password: form.password,
            first_name: form.first_name,
            last_name: form.last_name,
            email: form.email,
            phone_number: form.phone_number,
            avatar: form.avatar,
            gender: form.gender,
            dob: form.dob,
            ..Self::default()
        }
    }
}

/// What is left out stays; null takes it away.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct SipPersonChange {
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 24)]
    first_name: Change<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 24)]
    last_name: Change<String>,
    #[serde(default)]
    #[schema(schema_with = types::or_null::email)]
    email: Change<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 3, max_length = 16)]
    phone_number: Change<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 10, max_length = 255)]
    avatar: Change<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Date)]
    dob: Change<String>,
    #[serde(default)]
    #[schema(schema_with = types::or_null::gender)]
    gender: Change<Gender>,
}

impl SipPersonChange {
    pub(super) fn apply(self, user: &mut SipUser) {
        self.first_name.apply(&mut user.first_name);
        self.last_name.apply(&mut user.last_name);
        self.email.apply(&mut user.email);
        self.phone_number.apply(&mut user.phone_number);
        self.avatar.apply(&mut user.avatar);
        self.dob.apply(&mut user.dob);
        self.gender.apply(&mut user.gender);
    }
}
