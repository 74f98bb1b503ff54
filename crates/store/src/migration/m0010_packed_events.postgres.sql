-- The envelope is kept packed; what is there stays as it is, in octets.
ALTER TABLE events ALTER COLUMN body TYPE BYTEA USING convert_to(body, 'UTF8');
