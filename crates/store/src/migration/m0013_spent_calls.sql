-- What a minute of a call costs and whose spend limits it counts for, so that a restart forgets nothing of that.

ALTER TABLE calls ADD COLUMN outbound_voice_profile UUID;
ALTER TABLE calls ADD COLUMN minute_price BIGINT;
CREATE INDEX calls_spent ON calls (hangup_on) WHERE minute_price IS NOT NULL;
