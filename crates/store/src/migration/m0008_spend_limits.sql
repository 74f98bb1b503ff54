-- How much the calls of an outbound voice profile may cost in an hour, besides a day.

ALTER TABLE outbound_voice_profiles ADD COLUMN hourly_spend_limit BIGINT;
