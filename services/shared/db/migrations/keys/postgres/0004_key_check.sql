-- By which a key that was unwrapped is known to be the one that was wrapped: an HMAC of whose it is under the key itself. Null in rows of
-- the version before, until they are wrapped anew.
alter table data_key add column key_check bytea;
