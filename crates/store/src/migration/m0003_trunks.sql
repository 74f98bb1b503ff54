-- Where calls of a trunk come from besides its address, and what is done with them; the trunks a profile's calls go by.

ALTER TABLE sip_connections ADD COLUMN sources TEXT NOT NULL DEFAULT '[]';
ALTER TABLE sip_connections ADD COLUMN authenticate BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE sip_connections ADD COLUMN routing TEXT NOT NULL DEFAULT '{}';
ALTER TABLE outbound_voice_profiles ADD COLUMN sip_connections TEXT NOT NULL DEFAULT '[]';
CREATE INDEX sip_connections_username ON sip_connections (username);
