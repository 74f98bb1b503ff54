-- The envelope is kept packed; what is there stays as it is, in octets. Without a rowid the rows stand in the order of the
-- key, in one tree and not in two.
CREATE TABLE events_packed (
    account UUID NOT NULL,
    seq BIGINT NOT NULL,
    uuid UUID NOT NULL,
    created_on TIMESTAMPTZ NOT NULL,
    type TEXT NOT NULL,
    ref_id UUID,
    body BLOB NOT NULL,
    PRIMARY KEY (account, seq)
) WITHOUT ROWID;
INSERT INTO events_packed
SELECT account, seq, uuid, created_on, type, ref_id, CAST(body AS BLOB) FROM events ORDER BY account, seq;
DROP TABLE events;
ALTER TABLE events_packed RENAME TO events;
CREATE INDEX events_created ON events (created_on);
