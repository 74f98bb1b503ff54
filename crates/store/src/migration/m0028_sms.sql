-- Segments of inbound messages that are not whole: they are acknowledged, so they outlive a restart.
CREATE TABLE sms_inbound_segments (
    uuid UUID NOT NULL PRIMARY KEY,
    message UUID NOT NULL, -- the same for all of one message
    created_on TIMESTAMPTZ NOT NULL,
    carrier TEXT NOT NULL,
    from_number BIGINT NOT NULL,
    to_number BIGINT NOT NULL,
    data_coding BIGINT NOT NULL,
    reference BIGINT NOT NULL,
    total BIGINT NOT NULL,
    number BIGINT NOT NULL,
    octets BYTEA NOT NULL
);
CREATE INDEX sms_inbound_segments_of ON sms_inbound_segments (from_number, to_number);
CREATE INDEX sms_inbound_segments_message ON sms_inbound_segments (message);
CREATE INDEX sms_inbound_segments_age ON sms_inbound_segments (created_on);

-- What has become of messages and is not in the event log yet: written with the change, gone with the event.
CREATE TABLE sms_untold (
    uuid UUID NOT NULL PRIMARY KEY,
    sms UUID NOT NULL,
    account UUID NOT NULL,
    state TEXT NOT NULL,
    delivered BOOLEAN NOT NULL,
    reason TEXT,
    modified_on TIMESTAMPTZ NOT NULL,
    place BIGINT NOT NULL
);
