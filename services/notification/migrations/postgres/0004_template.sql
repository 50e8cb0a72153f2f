-- What notifications of appointments say, where somebody wrote something else than comes with this service. Sealed under the service's key.
create table template (
    kind       text not null,
    language   text not null,
    version    bigint not null,
    updated_at timestamptz not null,
    body       bytea not null,
    primary key (kind, language)
);
