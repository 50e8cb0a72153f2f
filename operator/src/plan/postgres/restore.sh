#!/bin/sh
# Fills the empty schemas of a new stack from a backup. All or nothing, and once.
#
#   $BACKUPS, $KEYS            the two volumes of the backup
#   $BACKUP                    which one: its name, or "latest"
#   $SCHEMAS                   role:schema, apart by blanks; keys' schemas end in _keys
#   $KEKS                      the key-encryption keys that came along, by what rows call them, apart by blanks
#   $ENGINE                    how a transit engine's key-encryption keys are called, up to the version; empty without one
#   $RESTORED                  if it is set: only look, and make this file if nothing is left to do
#   PGSERVICEFILE, PGSERVICE   how to connect, as administrator
set -eu
umask 077
ENGINE=${ENGINE:-}

fail() {
    echo "$1" >&2
    exit 1
}

sql() {
    psql -X -q -A -t -v ON_ERROR_STOP=1 -c "$1"
}

until pg_isready -q; do sleep 1; done

# The first schema's comment says what it was filled from: the restore is done once, however often this is run.
# shellcheck disable=SC2086 # several words
set -- $SCHEMAS
first=${1#*:}
# Roles and schemas are made in one transaction, by another Job: with one of them all are there.
until [ "$(sql "select count(*) from pg_namespace where nspname = '$first'")" = 1 ]; do sleep 1; done
before=$(sql "select obj_description(oid) from pg_namespace where nspname = '$first'")
case $before in
'restored from '*)
    echo "already $before"
    if [ -n "${RESTORED:-}" ]; then : >"$RESTORED"; fi
    exit 0
    ;;
esac
if [ -n "${RESTORED:-}" ]; then exit 0; fi

if [ "$BACKUP" = latest ]; then
    name=
    for folder in "$BACKUPS"/[0-9]*T[0-9]*Z; do name=${folder##*/}; done
else
    name=$BACKUP
fi
data=$BACKUPS/$name/data.dump
[ -n "$name" ] && [ -f "$data" ] || fail "there is no backup ${name:-at all} in this volume"
(cd "$BACKUPS/$name" && sha256sum -c SHA256SUMS >/dev/null) || fail "backup $name is damaged: its digest does not match"

# If a backup was broken off between putting its keys in place and taking the old ones away, the newest are meant.
newest=
for file in "$KEYS"/keys-*.dump; do
    if [ -z "$newest" ] || [ "$file" -nt "$newest" ]; then newest=$file; fi
done
[ -f "$newest" ] || fail 'there are no keys beside this backup: without them nobody can read its data'
digest=$(sha256sum <"$newest")
[ "$newest" = "$KEYS/keys-${digest%% *}.dump" ] || fail 'the keys are damaged: their digest does not match'

for pair in $SCHEMAS; do
    schema=${pair#*:}
    full=$(sql "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = '$schema'")
    [ "$full" = 0 ] || fail "schema $schema is not empty: a backup is only restored into a new stack"
done

# SQL that fails if a key is wrapped under a key-encryption key that did not come along. A service that was never on has no keys.
opens() {
    cat <<END
do \$\$
declare
    others text;
begin
    if to_regclass('"$1".data_key') is null then
        return;
    end if;
    execute 'select string_agg(distinct kek_id, '', '') from "$1".data_key where kek_id <> all (string_to_array(\$1, '' '')) and (\$2 = '''' or not starts_with(kek_id, \$2))'
        into others using '$KEKS', '$ENGINE';
    if others is not null then
        raise exception 'the keys of this backup (schema $1) are wrapped under the key-encryption key %, but the Secret that keySecretRef names holds: $KEKS. Nothing was changed; make a new stack with the key of the time of the backup', others;
    end if;
end
\$\$;
END
}

# One transaction. If pg_restore fails, there is no commit, and what was done is undone.
{
    echo 'begin;'
    for pair in $SCHEMAS; do
        schema=${pair#*:}
        case $schema in
        *_keys) from=$newest ;;
        *) from=$data ;;
        esac
        echo "set local role \"${pair%%:*}\";"
        pg_restore --file=- --no-owner --no-privileges --schema="$schema" "$from" || exit 1
        # Before anything is kept: what is wrapped under another key would open for nobody.
        case $schema in
        *_keys) [ -z "$KEKS" ] || opens "$schema" ;;
        esac
        echo 'reset role;'
    done
    echo "comment on schema \"$first\" is 'restored from $name';"
    echo 'commit;'
} | psql -X -q -v ON_ERROR_STOP=1 >/dev/null

after=$(sql "select obj_description(oid) from pg_namespace where nspname = '$first'")
[ "$after" = "restored from $name" ] || fail "backup $name could not be restored; nothing was changed"
echo "restored from $name"
