-- Groups of SIP users, and filters of who may call a number.

CREATE TABLE sip_user_groups (
    uuid UUID PRIMARY KEY NOT NULL,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    sip_domain UUID NOT NULL REFERENCES sip_domains (uuid),
    name TEXT NOT NULL,
    users TEXT NOT NULL, -- JSON, uuids
    created_by UUID,
    modified_by UUID
);

CREATE INDEX sip_user_groups_domain ON sip_user_groups (sip_domain);

CREATE TABLE tn_filters (
    uuid UUID PRIMARY KEY NOT NULL,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    name TEXT NOT NULL,
    is_active BOOLEAN NOT NULL,
    on_reject TEXT NOT NULL,
    sip_control_app UUID REFERENCES sip_control_apps (uuid), -- of on_reject voicemail_app
    whitelist TEXT NOT NULL, -- JSON
    blacklist TEXT NOT NULL, -- JSON
    rejected BIGINT NOT NULL,
    created_by UUID,
    modified_by UUID
);

CREATE INDEX tn_filters_account ON tn_filters (account);
CREATE INDEX tn_leases_filter ON tn_leases (tn_profile);
