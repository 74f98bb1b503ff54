//! One file a resource.

mod account;
mod account_user;
mod address;
mod admin;
mod amd_form;
mod app;
mod app_group;
mod auth;
mod avatar;
mod batch;
mod call;
mod call_form;
mod call_trace;
mod cart;
mod dev;
mod dict;
mod event;
pub(crate) mod forms;
mod health;
mod later;
mod lease;
mod lease_route;
mod lookup;
mod office_hours;
mod order;
mod password_reset;
mod product;
mod profile_messaging;
mod profile_tn;
mod profile_voice;
mod record;
mod settings;
mod shaken_certificate;
mod sip_app;
mod sip_app_flow;
mod sip_connection;
mod sip_domain;
mod sip_group;
mod sip_ice_server;
mod sip_invite;
mod sip_message;
mod sip_person;
mod sip_switch;
mod sip_user;
mod sms;
mod sms_opt_out;
mod subscription;
mod tcr_brand;
mod tcr_campaign;
mod tech_prefix;
mod tn;
mod tn_filter;
mod token;
mod transaction;
mod user;
mod webhook;

use axum::Router;
use http::Method;
use utoipa_axum::router::OpenApiRouter;

pub(crate) use tn::profile_of as tn_profile;

use crate::openapi;
use crate::state::ApiState;

/// All that is in the OpenAPI document.
pub(crate) fn implemented(public_url: &str) -> OpenApiRouter<ApiState> {
    [
        auth::router(),
        settings::router(),
        token::router(),
        user::router(),
        avatar::router(),
        password_reset::router(),
        account::router(),
        account_user::router(),
        office_hours::router(),
        address::router(),
        cart::router(),
        dict::router(),
        tn::router(),
        order::router(),
        lease::router(),
        lease_route::router(),
        lookup::router(),
        tn_filter::router(),
        sip_app::router(),
        sip_app_flow::router(),
        sip_connection::router(),
        sip_domain::router(),
        sip_switch::router(),
        sip_user::router(),
        sip_group::router(),
        sip_ice_server::router(),
        sip_invite::router(),
        app::router(),
        app_group::router(),
        sip_message::router(),
        product::router(),
        profile_voice::router(),
        profile_tn::router(),
        profile_messaging::router(),
        shaken_certificate::router(),
        call::router(),
        batch::router(),
        call_trace::router(),
        record::router(),
        sms::router(),
        sms_opt_out::router(),
        tcr_brand::router(),
        tcr_campaign::router(),
        tech_prefix::router(),
        subscription::router(),
        event::router(),
        webhook::router(),
        transaction::router(),
        admin::router(),
        dev::router(),
        health::router(),
    ]
    .into_iter()
    .fold(OpenApiRouter::with_openapi(openapi::base(public_url)), OpenApiRouter::merge)
}

/// What answers 501.
pub(crate) fn not_implemented() -> impl Iterator<Item = (Method, &'static str)> {
    later::LATER.iter().flat_map(|(path, methods)| methods.iter().map(|method| (method.clone(), *path)))
}

pub(crate) fn later() -> Router<ApiState> {
    later::router()
}
