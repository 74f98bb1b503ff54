-- The trunk that emergency calls under an outbound voice profile go by.

ALTER TABLE outbound_voice_profiles ADD COLUMN emergency_connection UUID REFERENCES sip_connections (uuid);
