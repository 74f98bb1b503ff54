-- What recordings say. One that waits is transcribed when its node starts again.

CREATE TABLE transcripts (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL,
    record UUID NOT NULL,
    state TEXT NOT NULL, -- waiting, done, failed
    language TEXT NOT NULL, -- BCP 47 or ISO 639
    engine TEXT,
    text TEXT,
    words TEXT NOT NULL, -- JSON
    error TEXT -- why there is no text
);
CREATE INDEX transcripts_record ON transcripts (record);
CREATE INDEX transcripts_waiting ON transcripts (created_on) WHERE state = 'waiting';
