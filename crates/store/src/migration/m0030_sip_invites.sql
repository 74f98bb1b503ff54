-- SIP users by themselves: invites, the hash that their clients show, and groups that they make.

CREATE TABLE sip_invites (
    uuid UUID PRIMARY KEY NOT NULL,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    sip_domain UUID NOT NULL REFERENCES sip_domains (uuid),
    name TEXT NOT NULL,
    email TEXT,
    expired_on TIMESTAMPTZ NOT NULL,
    created_by UUID,
    modified_by UUID
);

CREATE INDEX sip_invites_domain ON sip_invites (sip_domain);

ALTER TABLE sip_users ADD COLUMN ha1b_digest TEXT; -- of HA1B, with a key: to find who shows it
CREATE UNIQUE INDEX sip_users_ha1b ON sip_users (ha1b_digest);
CREATE INDEX sip_users_email ON sip_users (lower(email));

ALTER TABLE sip_user_groups ADD COLUMN owner UUID; -- the SIP user who made it
