-- Where the blocks of North American numbers are, and whose (LERG).

CREATE TABLE lerg_blocks (
    block TEXT PRIMARY KEY NOT NULL, -- NPA, NXX and the thousands digit, or A for the whole exchange
    country TEXT NOT NULL, -- ISO 3166 alpha-2
    state TEXT NOT NULL,
    rate_center TEXT NOT NULL,
    lata TEXT,
    ocn TEXT,
    carrier TEXT
);

CREATE INDEX lerg_blocks_place ON lerg_blocks (country, state, rate_center);
