-- Passwords that are set anew by mail.

CREATE TABLE password_resets (
    subject UUID PRIMARY KEY NOT NULL, -- whose password: only the newest token of each is good
    account UUID NOT NULL REFERENCES accounts (uuid),
    hash TEXT NOT NULL, -- SHA-256 of the token, hex
    expired_on TIMESTAMPTZ NOT NULL
);

CREATE UNIQUE INDEX password_resets_hash ON password_resets (hash);

-- Who is to be written to. The words are found when it is sent, so that no token waits here.
CREATE TABLE mails (
    uuid UUID PRIMARY KEY NOT NULL,
    created_on TIMESTAMPTZ NOT NULL,
    kind TEXT NOT NULL,
    recipient TEXT NOT NULL,
    callback TEXT,
    subject UUID, -- what it is about
    attempts BIGINT NOT NULL,
    next_on TIMESTAMPTZ NOT NULL
);

CREATE INDEX mails_next ON mails (next_on);
