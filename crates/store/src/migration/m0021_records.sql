-- Recordings of calls. The file lies in the folder of recordings, in the object store, or in both.

CREATE TABLE records (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL,
    call UUID NOT NULL,
    tag TEXT,
    state TEXT NOT NULL, -- recording, stored, failed
    format TEXT NOT NULL, -- wav, mp3
    channels BIGINT NOT NULL,
    sample_rate BIGINT NOT NULL, -- 0 until it is stored
    duration_ms BIGINT NOT NULL,
    size BIGINT NOT NULL, -- octets
    reason TEXT, -- why it holds less than was said
    is_local BOOLEAN NOT NULL, -- its file is in the folder of recordings
    uploaded_on TIMESTAMPTZ, -- it is in the object store since
    upload_due TIMESTAMPTZ, -- NULL: nothing is to be uploaded
    upload_attempts BIGINT NOT NULL,
    upload_error TEXT -- of the last attempt
);
CREATE INDEX records_account ON records (account, created_on);
CREATE INDEX records_call ON records (call);
CREATE INDEX records_unfinished ON records (created_on) WHERE state = 'recording';
CREATE INDEX records_upload ON records (upload_due) WHERE upload_due IS NOT NULL;
