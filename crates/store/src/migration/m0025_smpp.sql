-- What customers' own SMPP software submits and is to be told.
CREATE TABLE smpp_submits (
    uuid UUID NOT NULL PRIMARY KEY, -- the message id it was answered with
    created_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL,
    token UUID NOT NULL,
    from_tn BIGINT NOT NULL,
    to_tn BIGINT NOT NULL,
    data_coding BIGINT NOT NULL,
    reference BIGINT NOT NULL,
    total BIGINT NOT NULL,
    number BIGINT NOT NULL,
    octets BYTEA NOT NULL,
    receipt BIGINT NOT NULL,
    sms UUID, -- once it is whole
    due BOOLEAN NOT NULL -- its receipt is to be told
);
CREATE INDEX smpp_submits_sms ON smpp_submits (sms);
CREATE INDEX smpp_submits_token ON smpp_submits (token, due, created_on);

CREATE TABLE smpp_inbound (
    sms UUID NOT NULL PRIMARY KEY REFERENCES sms (uuid),
    account UUID NOT NULL,
    created_on TIMESTAMPTZ NOT NULL
);
CREATE INDEX smpp_inbound_account ON smpp_inbound (account, created_on);

-- Events that are told to the callback URL of a message.
ALTER TABLE webhook_deliveries ADD COLUMN callback BOOLEAN NOT NULL DEFAULT FALSE;

-- Inbound messages are told to accounts of which a token has been bound as a receiver.
ALTER TABLE tokens ADD COLUMN smpp_bound_on TIMESTAMPTZ;
