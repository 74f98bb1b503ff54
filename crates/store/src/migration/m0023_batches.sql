-- Batches: many calls made by one request, and what became of each.

CREATE TABLE batches (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL,
    created_by UUID,
    name TEXT,
    state TEXT NOT NULL, -- created, running, paused, finished, canceled
    reason TEXT, -- why it was paused, where nobody asked for that
    total BIGINT NOT NULL, -- items; 0 while they are being written
    expires_on TIMESTAMPTZ, -- who waits then is not called any more
    finished_on TIMESTAMPTZ,
    terms TEXT NOT NULL -- how it is called: JSON
);
CREATE INDEX batches_account ON batches (account, created_on);
CREATE INDEX batches_open ON batches (created_on) WHERE state <> 'finished';

CREATE TABLE batch_items (
    uuid UUID NOT NULL PRIMARY KEY,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL,
    batch UUID NOT NULL,
    position BIGINT NOT NULL, -- in the request, from 0
    to_number TEXT NOT NULL,
    vars TEXT NOT NULL, -- JSON
    state TEXT NOT NULL, -- waiting, calling, done, failed
    due_on TIMESTAMPTZ NOT NULL, -- not called before
    attempts BIGINT NOT NULL,
    call UUID, -- of the last attempt
    q850_cause BIGINT, -- of the last attempt
    reason TEXT,
    amd TEXT
);
CREATE UNIQUE INDEX batch_items_position ON batch_items (batch, position);
CREATE INDEX batch_items_due ON batch_items (batch, state, due_on, position);
