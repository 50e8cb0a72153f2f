-- What was done away with, a kind after another and how many of each: sealed. An older version writes nothing.
alter table erasure add column report blob;
