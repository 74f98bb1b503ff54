-- Amounts are whole millionths (types::Money), telephone numbers whole numbers (types::Tn),
-- lists and objects JSON text (types::Json), dates UTC with milliseconds.

CREATE TABLE accounts (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    level TEXT NOT NULL,
    balance BIGINT NOT NULL,
    phone TEXT,
    address1 TEXT,
    address2 TEXT,
    zip_code TEXT,
    city TEXT,
    time_zone TEXT,
    notification TEXT NOT NULL,
    disabled_on TIMESTAMPTZ,
    deleted_on TIMESTAMPTZ
);

CREATE TABLE users (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    email TEXT NOT NULL, -- lower case
    password_hash TEXT NOT NULL, -- argon2id, PHC form
    role TEXT NOT NULL,
    first_name TEXT,
    last_name TEXT,
    phone_number TEXT,
    avatar TEXT,
    gender TEXT,
    dob TEXT,
    deleted_on TIMESTAMPTZ
);
CREATE UNIQUE INDEX users_email ON users (email);
CREATE INDEX users_account ON users (account);

CREATE TABLE tokens (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    user_uuid UUID NOT NULL REFERENCES users (uuid),
    name TEXT NOT NULL,
    hash TEXT NOT NULL, -- SHA-256, hex
    masked TEXT NOT NULL,
    scopes TEXT NOT NULL,
    expired_on TIMESTAMPTZ
);
CREATE UNIQUE INDEX tokens_hash ON tokens (hash);
CREATE INDEX tokens_user ON tokens (user_uuid);

CREATE TABLE sip_products (
    id BIGINT NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    type TEXT NOT NULL,
    tech_prefix BIGINT,
    rate_table_id BIGINT,
    route_plan_id BIGINT
);

-- One row a prefix given out, so that no two trunks, apps or profiles share one.
CREATE TABLE tech_prefixes (
    prefix BIGINT NOT NULL PRIMARY KEY,
    owner UUID NOT NULL
);
CREATE INDEX tech_prefixes_owner ON tech_prefixes (owner);

CREATE TABLE messaging_profiles (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    name TEXT NOT NULL,
    callback_url TEXT,
    callback_url2 TEXT,
    number_pool_enable BOOLEAN NOT NULL,
    long_code_weight BIGINT NOT NULL,
    tollfree_weight BIGINT NOT NULL,
    skip_unhealthy_tns BOOLEAN NOT NULL,
    sticky_sender BOOLEAN NOT NULL,
    smart_encoding BOOLEAN NOT NULL,
    created_by UUID,
    modified_by UUID
);
CREATE INDEX messaging_profiles_account ON messaging_profiles (account);

CREATE TABLE sip_control_apps (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    name TEXT NOT NULL,
    is_active BOOLEAN NOT NULL,
    tech_prefix BIGINT NOT NULL,
    product BIGINT NOT NULL REFERENCES sip_products (id),
    auto_answer BOOLEAN NOT NULL,
    max_call_length_min BIGINT,
    shaken_verify_policy BIGINT NOT NULL,
    shaken_minimum_accepted_attest_lvl TEXT,
    xml TEXT,
    call_flow_url TEXT,
    call_flow_method TEXT NOT NULL,
    call_flow_request_timeout BIGINT,
    webhook_url TEXT,
    webhook_method TEXT NOT NULL,
    webhook_request_timeout BIGINT,
    created_by UUID,
    modified_by UUID
);
CREATE INDEX sip_control_apps_account ON sip_control_apps (account);
CREATE UNIQUE INDEX sip_control_apps_prefix ON sip_control_apps (tech_prefix);

CREATE TABLE sip_connections (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    name TEXT NOT NULL,
    is_active BOOLEAN NOT NULL,
    tech_prefix BIGINT NOT NULL,
    product BIGINT NOT NULL REFERENCES sip_products (id),
    ip TEXT,
    hostname TEXT,
    port BIGINT NOT NULL,
    transport TEXT NOT NULL,
    srtp BOOLEAN NOT NULL,
    codecs TEXT NOT NULL,
    username TEXT,
    password BYTEA, -- sealed
    register BOOLEAN NOT NULL,
    channel_limit BIGINT,
    cps_limit BIGINT,
    priority BIGINT NOT NULL,
    weight BIGINT NOT NULL,
    options_ping BOOLEAN NOT NULL,
    shaken_verify_policy BIGINT NOT NULL,
    shaken_minimum_accepted_attest_lvl TEXT,
    created_by UUID,
    modified_by UUID
);
CREATE INDEX sip_connections_account ON sip_connections (account);
CREATE INDEX sip_connections_ip ON sip_connections (ip);
CREATE UNIQUE INDEX sip_connections_prefix ON sip_connections (tech_prefix);

CREATE TABLE outbound_voice_profiles (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    name TEXT NOT NULL,
    is_active BOOLEAN NOT NULL,
    tech_prefix BIGINT NOT NULL,
    product BIGINT NOT NULL REFERENCES sip_products (id),
    tn_lease UUID, -- cleared when the lease ends; no constraint, the two tables point at each other
    shaken_sign_policy BIGINT NOT NULL,
    channel_limit BIGINT,
    cps_limit BIGINT,
    max_rate BIGINT,
    daily_spend_limit BIGINT,
    record_calls BIGINT NOT NULL,
    format TEXT NOT NULL,
    allowed_countries TEXT NOT NULL,
    created_by UUID,
    modified_by UUID
);
CREATE INDEX outbound_voice_profiles_account ON outbound_voice_profiles (account);
CREATE UNIQUE INDEX outbound_voice_profiles_prefix ON outbound_voice_profiles (tech_prefix);

CREATE TABLE sip_domains (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    domain TEXT NOT NULL, -- lower case, full name
    sip_connection UUID REFERENCES sip_connections (uuid),
    sip_control_app UUID REFERENCES sip_control_apps (uuid),
    outbound_voice_profile UUID REFERENCES outbound_voice_profiles (uuid),
    created_by UUID,
    modified_by UUID
);
CREATE UNIQUE INDEX sip_domains_domain ON sip_domains (domain);
CREATE INDEX sip_domains_account ON sip_domains (account);

CREATE TABLE sip_users (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    sip_domain UUID NOT NULL REFERENCES sip_domains (uuid),
    login TEXT NOT NULL,
    ha1 BYTEA NOT NULL, -- sealed, like the two below
    ha1_sha256 BYTEA NOT NULL,
    ha1b BYTEA NOT NULL,
    is_active BOOLEAN NOT NULL,
    same_domain_calls_only BOOLEAN NOT NULL,
    tn_lease UUID, -- cleared when the lease ends
    first_name TEXT,
    last_name TEXT,
    email TEXT,
    phone_number TEXT,
    avatar TEXT,
    gender TEXT,
    dob TEXT,
    created_by UUID,
    modified_by UUID
);
CREATE UNIQUE INDEX sip_users_login ON sip_users (sip_domain, login);
CREATE INDEX sip_users_account ON sip_users (account);

CREATE TABLE tn_profiles (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    is_active BOOLEAN NOT NULL,
    priority TEXT NOT NULL,
    toll_free BOOLEAN NOT NULL,
    country TEXT NOT NULL,
    prices TEXT NOT NULL
);
CREATE UNIQUE INDEX tn_profiles_name ON tn_profiles (name);

CREATE TABLE tns (
    tn BIGINT NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    type TEXT NOT NULL,
    country TEXT NOT NULL,
    state TEXT,
    city TEXT,
    rate_center TEXT,
    features TEXT NOT NULL,
    carrier TEXT NOT NULL,
    registered BOOLEAN NOT NULL,
    profile UUID NOT NULL REFERENCES tn_profiles (uuid),
    quarantined_until TIMESTAMPTZ,
    deleted_on TIMESTAMPTZ
);
CREATE INDEX tns_quarantine ON tns (quarantined_until);

CREATE TABLE tn_orders (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    state TEXT NOT NULL,
    request TEXT NOT NULL,
    items TEXT NOT NULL,
    errors TEXT NOT NULL,
    total BIGINT NOT NULL,
    success BIGINT NOT NULL,
    processing BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    created_by UUID
);
CREATE INDEX tn_orders_account ON tn_orders (account, created_on);

CREATE TABLE tn_leases (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    tn BIGINT NOT NULL REFERENCES tns (tn),
    tn_order UUID REFERENCES tn_orders (uuid),
    expired_on TIMESTAMPTZ NOT NULL,
    autorenew BOOLEAN NOT NULL,
    subscriptions TEXT NOT NULL,
    sip_connection UUID REFERENCES sip_connections (uuid),
    sip_control_app UUID REFERENCES sip_control_apps (uuid),
    sip_user UUID REFERENCES sip_users (uuid),
    messaging_profile UUID REFERENCES messaging_profiles (uuid),
    tn_profile UUID,
    released_on TIMESTAMPTZ,
    created_by UUID,
    modified_by UUID,
    CHECK ((CASE WHEN sip_connection IS NULL THEN 0 ELSE 1 END)
        + (CASE WHEN sip_control_app IS NULL THEN 0 ELSE 1 END)
        + (CASE WHEN sip_user IS NULL THEN 0 ELSE 1 END) <= 1)
);
-- Two orders for one number: exactly one wins.
CREATE UNIQUE INDEX tn_leases_active ON tn_leases (tn) WHERE released_on IS NULL;
CREATE INDEX tn_leases_account ON tn_leases (account, created_on);
CREATE INDEX tn_leases_app ON tn_leases (sip_control_app);
CREATE INDEX tn_leases_connection ON tn_leases (sip_connection);
CREATE INDEX tn_leases_user ON tn_leases (sip_user);
CREATE INDEX tn_leases_order ON tn_leases (tn_order);

-- Call records and their logs are written by the batch writer in any order: no foreign keys.
CREATE TABLE calls (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL,
    direction TEXT NOT NULL,
    from_number TEXT NOT NULL,
    to_number TEXT NOT NULL,
    state TEXT NOT NULL,
    type TEXT NOT NULL,
    thread TEXT NOT NULL,
    parent UUID,
    tn BIGINT,
    sip_control_app UUID,
    sip_connection UUID,
    sip_user UUID,
    batch_item UUID,
    sip_call_id TEXT,
    init_on TIMESTAMPTZ,
    ring_on TIMESTAMPTZ,
    answer_on TIMESTAMPTZ,
    hangup_on TIMESTAMPTZ,
    destroy_on TIMESTAMPTZ,
    finished_on TIMESTAMPTZ,
    duration BIGINT NOT NULL, -- whole seconds
    q850_cause BIGINT,
    q850_cause_string TEXT,
    freeswitch_call_state TEXT NOT NULL,
    freeswitch_channel_state TEXT NOT NULL,
    stir_shaken_attest_level TEXT,
    related TEXT NOT NULL,
    meta TEXT NOT NULL
);
CREATE INDEX calls_account ON calls (account, created_on);
CREATE INDEX calls_parent ON calls (parent);

CREATE TABLE call_flow_logs (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL,
    call UUID NOT NULL,
    sip_control_app UUID,
    position BIGINT NOT NULL, -- order of execution within the call, from 0
    name TEXT NOT NULL,
    element TEXT NOT NULL,
    path TEXT NOT NULL,
    success BOOLEAN NOT NULL,
    reason TEXT NOT NULL,
    tag TEXT,
    command TEXT NOT NULL,
    children TEXT NOT NULL,
    errors TEXT NOT NULL
);
CREATE INDEX call_flow_logs_call ON call_flow_logs (call, position);
CREATE INDEX call_flow_logs_app ON call_flow_logs (sip_control_app, created_on);

CREATE TABLE sms (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL,
    type TEXT NOT NULL,
    from_number TEXT NOT NULL,
    to_number TEXT NOT NULL,
    tn BIGINT NOT NULL, -- the account's own number
    tn_lease UUID,
    messaging_profile UUID,
    thread TEXT NOT NULL,
    message TEXT NOT NULL,
    state TEXT NOT NULL,
    delivered BOOLEAN NOT NULL,
    automated BOOLEAN NOT NULL,
    readed BOOLEAN NOT NULL,
    reason TEXT,
    reference_id TEXT,
    segments BIGINT NOT NULL,
    encoding TEXT NOT NULL,
    custom_callback_url TEXT,
    created_by UUID
);
CREATE INDEX sms_account ON sms (account, created_on);
CREATE INDEX sms_thread ON sms (account, thread);
CREATE INDEX sms_reference ON sms (reference_id);

-- The durable queue: one row for every outbound message that no carrier has taken yet.
CREATE TABLE sms_queue (
    sms UUID NOT NULL PRIMARY KEY REFERENCES sms (uuid),
    account UUID NOT NULL,
    due_on TIMESTAMPTZ NOT NULL,
    expires_on TIMESTAMPTZ NOT NULL,
    attempts BIGINT NOT NULL,
    leased_until TIMESTAMPTZ
);
CREATE INDEX sms_queue_due ON sms_queue (due_on);

CREATE TABLE subscriptions (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    user_uuid UUID NOT NULL REFERENCES users (uuid),
    channel TEXT NOT NULL,
    type TEXT NOT NULL,
    is_active BOOLEAN NOT NULL,
    expired_on TIMESTAMPTZ
);
CREATE INDEX subscriptions_user ON subscriptions (user_uuid);

CREATE TABLE events (
    account UUID NOT NULL,
    seq BIGINT NOT NULL,
    uuid UUID NOT NULL,
    created_on TIMESTAMPTZ NOT NULL,
    type TEXT NOT NULL,
    ref_id UUID,
    body TEXT NOT NULL, -- the envelope as it was sent
    PRIMARY KEY (account, seq)
);
CREATE INDEX events_created ON events (created_on);

CREATE TABLE transactions (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    amount BIGINT NOT NULL, -- signed: charges are negative, the balance is the sum
    account_balance_before BIGINT NOT NULL,
    account_balance_after BIGINT NOT NULL,
    ref_type TEXT NOT NULL,
    ref_uuid UUID,
    description TEXT
);
CREATE INDEX transactions_account ON transactions (account, created_on);
CREATE INDEX transactions_ref ON transactions (ref_uuid);

CREATE TABLE idempotency_keys (
    account UUID NOT NULL,
    idempotency_key TEXT NOT NULL,
    created_on TIMESTAMPTZ NOT NULL,
    fingerprint TEXT NOT NULL,
    status BIGINT, -- null while the first request runs
    body TEXT,
    PRIMARY KEY (account, idempotency_key)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_on);
