-- Messages between SIP users (RFC 3428). One row for each account that takes part: the receiver's is the message, the
-- sender's, where that is another account, its copy.

CREATE TABLE sip_messages (
    uuid UUID NOT NULL PRIMARY KEY,
    created_on TIMESTAMPTZ NOT NULL,
    modified_on TIMESTAMPTZ NOT NULL,
    account UUID NOT NULL,
    copy_of UUID,
    sender UUID, -- SIP user
    recipient UUID, -- SIP user
    position BIGINT NOT NULL, -- rises with every message the node has taken
    from_address TEXT NOT NULL,
    to_address TEXT NOT NULL,
    thread TEXT NOT NULL,
    content_type TEXT NOT NULL,
    message TEXT NOT NULL,
    hops BIGINT NOT NULL, -- Max-Forwards that are left
    state TEXT NOT NULL,
    delivered BOOLEAN NOT NULL,
    reason TEXT,
    waits_until TIMESTAMPTZ -- NULL: it waits for nobody any more
);
CREATE INDEX sip_messages_account ON sip_messages (account, created_on);
CREATE INDEX sip_messages_thread ON sip_messages (account, thread);
CREATE INDEX sip_messages_copy ON sip_messages (copy_of);
CREATE INDEX sip_messages_waiting ON sip_messages (recipient, position) WHERE waits_until IS NOT NULL;
