-- Systems whose calls are a domain's by where they come from.

CREATE TABLE sip_switches (
    uuid UUID PRIMARY KEY NOT NULL,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    sip_domain UUID NOT NULL REFERENCES sip_domains (uuid),
    name TEXT NOT NULL,
    description TEXT,
    remote_ip TEXT, -- address or network
    remote_domain TEXT, -- host name, lower case
    is_active BOOLEAN NOT NULL,
    created_by UUID,
    modified_by UUID
);

CREATE INDEX sip_switches_domain ON sip_switches (sip_domain);
