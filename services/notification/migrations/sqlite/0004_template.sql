-- What notifications of appointments say, where somebody wrote something else than comes with this service. Sealed under the service's key.
create table template (
    kind       text not null,
    language   text not null,
    version    integer not null,
    updated_at text not null,
    body       blob not null,
    primary key (kind, language)
) strict;
