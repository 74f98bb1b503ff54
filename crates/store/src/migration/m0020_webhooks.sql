-- Webhooks: who is told of what by HTTP, what is still to be told, and what came of each attempt.

ALTER TABLE subscriptions ADD COLUMN url TEXT;
ALTER TABLE subscriptions ADD COLUMN failover_url TEXT;
ALTER TABLE subscriptions ADD COLUMN secret BYTEA;
ALTER TABLE subscriptions ADD COLUMN filters TEXT;
CREATE INDEX subscriptions_webhooks ON subscriptions (account) WHERE url IS NOT NULL;

CREATE TABLE webhook_deliveries (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL,
    hook UUID NOT NULL,
    subscription UUID,
    sip_control_app UUID,
    event UUID NOT NULL,
    seq BIGINT NOT NULL,
    type TEXT NOT NULL,
    ref_id UUID,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    next_on TIMESTAMPTZ,
    reason TEXT,
    body BYTEA NOT NULL
);
CREATE INDEX webhook_deliveries_account ON webhook_deliveries (account, created_on);
CREATE INDEX webhook_deliveries_created ON webhook_deliveries (created_on);
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (hook, created_on, seq) WHERE next_on IS NOT NULL;

CREATE TABLE webhook_attempts (
    delivery UUID NOT NULL,
    number BIGINT NOT NULL,
    created_on TIMESTAMPTZ NOT NULL,
    url TEXT NOT NULL,
    status BIGINT,
    reason TEXT,
    duration_ms BIGINT NOT NULL,
    PRIMARY KEY (delivery, number)
);
