-- 10DLC: who sends messages from long codes of the United States and Canada, and what they say.
CREATE TABLE tcr_brands (
    uuid UUID PRIMARY KEY NOT NULL,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    registry_id TEXT, -- what the registry calls it
    status TEXT NOT NULL,
    reason TEXT,
    filed_on TIMESTAMPTZ, -- when the registry got it as it reads now
    look_on TIMESTAMPTZ, -- when the registry is asked next; null: it has decided
    revision BIGINT NOT NULL,
    details TEXT NOT NULL, -- JSON
    created_by UUID,
    modified_by UUID
);
CREATE INDEX tcr_brands_account ON tcr_brands (account, created_on);
CREATE INDEX tcr_brands_look ON tcr_brands (look_on);

CREATE TABLE tcr_campaigns (
    uuid UUID PRIMARY KEY NOT NULL,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    brand UUID NOT NULL REFERENCES tcr_brands (uuid),
    registry_id TEXT,
    status TEXT NOT NULL,
    reason TEXT,
    filed_on TIMESTAMPTZ,
    look_on TIMESTAMPTZ,
    revision BIGINT NOT NULL,
    details TEXT NOT NULL, -- JSON
    created_by UUID,
    modified_by UUID
);
CREATE INDEX tcr_campaigns_account ON tcr_campaigns (account, created_on);
CREATE INDEX tcr_campaigns_brand ON tcr_campaigns (brand);
CREATE INDEX tcr_campaigns_look ON tcr_campaigns (look_on);

ALTER TABLE tn_leases ADD COLUMN sms_campaign UUID;
CREATE INDEX tn_leases_sms_campaign ON tn_leases (sms_campaign);
