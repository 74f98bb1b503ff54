-- What is known of a message on its way.
ALTER TABLE sms ADD COLUMN send_at TIMESTAMPTZ;
ALTER TABLE sms ADD COLUMN priority TEXT NOT NULL DEFAULT 'normal';
ALTER TABLE sms ADD COLUMN carrier TEXT; -- who has it, or had it last
ALTER TABLE sms ADD COLUMN attempts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sms ADD COLUMN repeated BOOLEAN NOT NULL DEFAULT FALSE;
-- For the number that a recipient has heard from before, and for how a number fares.
CREATE INDEX sms_profile_to ON sms (messaging_profile, to_number, created_on);
CREATE INDEX sms_tn ON sms (tn, created_on);

ALTER TABLE sms_queue ADD COLUMN priority BIGINT NOT NULL DEFAULT 1; -- 0 goes first
ALTER TABLE sms_queue ADD COLUMN unanswered BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sms_queue ADD COLUMN carrier TEXT;
ALTER TABLE sms_queue ADD COLUMN taken TEXT NOT NULL DEFAULT '[]'; -- ids of the segments that the carrier took
CREATE INDEX sms_queue_turn ON sms_queue (priority, due_on);
CREATE INDEX sms_queue_expires ON sms_queue (expires_on);

-- Segments of messages that were handed over in several, as receipts name them.
CREATE TABLE sms_segments (
    sms UUID NOT NULL REFERENCES sms (uuid),
    number BIGINT NOT NULL,
    account UUID NOT NULL,
    carrier TEXT NOT NULL,
    reference_id TEXT NOT NULL,
    created_on TIMESTAMPTZ NOT NULL,
    delivered BOOLEAN NOT NULL,
    PRIMARY KEY (sms, number)
);
CREATE INDEX sms_segments_reference ON sms_segments (reference_id);

ALTER TABLE messaging_profiles ADD COLUMN geo_match BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE messaging_profiles ADD COLUMN allowed_countries TEXT NOT NULL DEFAULT '[]';
ALTER TABLE messaging_profiles ADD COLUMN opt_out TEXT NOT NULL DEFAULT '{}';

-- Who wants no messages: of a messaging profile, or of the account's numbers that have none.
CREATE TABLE sms_opt_outs (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL REFERENCES accounts (uuid),
    messaging_profile UUID REFERENCES messaging_profiles (uuid),
    scope UUID NOT NULL, -- the profile, else the account
    tn BIGINT NOT NULL,
    source TEXT NOT NULL,
    keyword TEXT
);
CREATE UNIQUE INDEX sms_opt_outs_one ON sms_opt_outs (scope, tn);
CREATE INDEX sms_opt_outs_account ON sms_opt_outs (account, created_on);
