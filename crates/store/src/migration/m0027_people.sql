-- What an account keeps about its people and its place: addresses, office hours, carts.

CREATE TABLE addresses (
    uuid UUID PRIMARY KEY NOT NULL,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    user_uuid UUID NOT NULL REFERENCES users (uuid),
    name TEXT NOT NULL,
    is_physical BOOLEAN NOT NULL,
    is_billing BOOLEAN NOT NULL,
    is_shipping BOOLEAN NOT NULL,
    address1 TEXT NOT NULL,
    address2 TEXT,
    zip_code TEXT NOT NULL,
    city TEXT NOT NULL,
    country TEXT NOT NULL, -- ISO 3166 alpha-2
    created_by UUID,
    modified_by UUID
);

CREATE INDEX addresses_account ON addresses (account);

CREATE TABLE office_hours (
    uuid UUID PRIMARY KEY NOT NULL,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    name TEXT,
    kind TEXT NOT NULL,
    dow TEXT NOT NULL,
    time_from BIGINT NOT NULL, -- seconds from midnight
    time_to BIGINT NOT NULL,
    created_by UUID,
    modified_by UUID
);

CREATE INDEX office_hours_account ON office_hours (account);

CREATE TABLE cart_entries (
    uuid UUID PRIMARY KEY NOT NULL,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    user_uuid UUID NOT NULL REFERENCES users (uuid),
    payload TEXT NOT NULL, -- JSON
    expired_on TIMESTAMPTZ
);

CREATE INDEX cart_entries_user ON cart_entries (user_uuid);

ALTER TABLE users ADD COLUMN signed_out_on TIMESTAMPTZ; -- JWTs from before are void

ALTER TABLE tn_leases ADD COLUMN noticed_on TIMESTAMPTZ; -- when the account was told that the term ends
CREATE INDEX tn_leases_expired ON tn_leases (expired_on);
