-- The calls made to a number of a batch are found by it.

CREATE INDEX calls_batch_item ON calls (batch_item) WHERE batch_item IS NOT NULL;
