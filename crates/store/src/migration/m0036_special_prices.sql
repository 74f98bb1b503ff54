-- What numbers of a price profile cost one account, in place of the profile's prices.

CREATE TABLE tn_special_prices (
    uuid UUID PRIMARY KEY NOT NULL,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    profile UUID NOT NULL REFERENCES tn_profiles (uuid),
    prices TEXT NOT NULL, -- JSON
    expired_on TIMESTAMPTZ
);

CREATE UNIQUE INDEX tn_special_prices_account ON tn_special_prices (account, profile);
