-- Where blocks of numbers are, by county too, where the file says so.

ALTER TABLE lerg_blocks ADD COLUMN county TEXT; -- in capitals
