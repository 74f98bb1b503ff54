-- Who called, and who was called: what calls are looked for by.
CREATE INDEX calls_from ON calls (account, from_number, created_on);
CREATE INDEX calls_to ON calls (account, to_number, created_on);
