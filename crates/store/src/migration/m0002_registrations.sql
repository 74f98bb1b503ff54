-- Contacts of SIP users, as the registrar last told. No foreign key: they are written behind the registrar's back by
-- the batch, and a row whose user has gone meanwhile must not keep the others of its batch from being written.

CREATE TABLE registrations (
    sip_user UUID NOT NULL,
    position BIGINT NOT NULL, -- among the contacts of the user, from 0
    aor TEXT NOT NULL,
    contact TEXT NOT NULL,
    transport TEXT NOT NULL,
    local TEXT NOT NULL,
    remote TEXT NOT NULL,
    q BIGINT NOT NULL, -- thousandths
    since TIMESTAMPTZ NOT NULL,
    expires_on TIMESTAMPTZ NOT NULL,
    instance TEXT,
    reg_id BIGINT,
    path TEXT NOT NULL,
    user_agent TEXT,
    call_id BIGINT NOT NULL,
    cseq BIGINT NOT NULL,
    PRIMARY KEY (sip_user, position)
);
