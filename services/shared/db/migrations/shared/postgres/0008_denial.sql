-- What patients do not share, and with whom. Whom a consent denies what stands here as keyed hashes alone, by which somebody who asks finds
-- whether they are one of them.
create table denial (
    consent    text not null,
    who        text not null,
    patient_id text not null,
    until      timestamptz not null,
    primary key (consent, who)
);

create index denial_patient_idx on denial (patient_id);

-- Which state of a patient's consents that is: an older one does not come after it.
create table denial_edition (
    patient_id text   not null primary key,
    version    bigint not null
);
