-- How long a restricted bill is kept: the year from which its years count (that of its last change), and the last one in which it is kept, under
-- whose key it is; null: with no end, under the service's key.
alter table bill add column from_year bigint;
alter table bill add column until_year bigint;

create index bill_until_idx on bill (until_year) where restricted and deleted_at is null;
