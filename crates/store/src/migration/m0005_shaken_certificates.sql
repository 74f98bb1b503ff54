-- Certificates that calls are signed with (STIR/SHAKEN), and their sealed keys.

CREATE TABLE shaken_certificates (
    uuid UUID PRIMARY KEY NOT NULL,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    name TEXT NOT NULL,
    is_active BOOLEAN NOT NULL,
    shared BOOLEAN NOT NULL, -- signs for accounts that have none of their own
    test BOOLEAN NOT NULL, -- of the node's own test authority
    chain TEXT NOT NULL, -- PEM, the signing certificate first
    key BYTEA NOT NULL, -- sealed
    subject TEXT NOT NULL,
    issuer TEXT NOT NULL,
    serial TEXT NOT NULL,
    tn_auth_list TEXT NOT NULL, -- JSON
    not_before TIMESTAMPTZ NOT NULL,
    not_after TIMESTAMPTZ NOT NULL,
    created_by UUID,
    modified_by UUID
);

CREATE INDEX shaken_certificates_account ON shaken_certificates (account);
