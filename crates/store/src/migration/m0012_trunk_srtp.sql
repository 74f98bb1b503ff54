-- Whether a trunk's audio is protected: off, optional or required; unset, as the node's setting says. What it takes the
-- place of could only ever be false.

ALTER TABLE sip_connections DROP COLUMN srtp;
ALTER TABLE sip_connections ADD COLUMN srtp TEXT;
