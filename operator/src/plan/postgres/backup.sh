#!/bin/sh
# Takes a backup: the data into a folder of its own, the wrapped keys in the place of those of the last backup.
#
#   $WHAT                      "keys": those alone, and no data
#   $BACKUPS, $KEYS            two volumes
#   $DATA_SCHEMAS, $KEYS_SCHEMAS   what goes where, names apart by blanks
#   $KEEP                      how many backups of the data are kept
#   PGSERVICEFILE, PGSERVICE   how to connect
#
# Keys are kept in their latest state alone: with yesterday's, yesterday's backup would open again what has been erased since. They are
# read after the data, so that every row has its key; and under a lock of their own until they are in place, so that none ever takes the
# place of newer ones.
set -eu
umask 077

# One at a time: one that is asked for while another is taken comes after it. Of the keys alone, one may come in the midst of it.
has_flock=
if command -v flock >/dev/null; then
    has_flock=yes
elif [ "${WHAT:-}" = keys ]; then
    echo 'this image has no flock: keys are taken with each backup, and not in between' >&2
    exit 1
else
    echo 'this image has no flock: take no backup while another is taken' >&2
fi
if [ -n "$has_flock" ] && [ "${WHAT:-}" != keys ]; then
    exec 9>"$BACKUPS/.lock"
    flock 9
fi

# In its first moments a pod may be turned away, until all of the network has heard of it. If that stays so, pg_dump says why.
tries=60
while [ $tries -gt 0 ] && ! pg_isready -q -t 1; do
    tries=$((tries - 1))
    sleep 1
done

dump() {
    file=$1
    shift
    for schema in "$@"; do
        set -- "$@" --schema="$schema"
        shift
    done
    pg_dump --format=custom --no-owner --no-privileges --lock-wait-timeout=60s --file="$file" "$@"
}

take_keys() {
    if [ -n "$has_flock" ]; then
        exec 8>"$KEYS/.lock"
        flock 8
    fi
    trap 'rm -rf "${partial:-}" "$KEYS/.partial"' EXIT
    trap 'exit 1' TERM INT
    rm -f "$KEYS/.partial"
    # As the database has it, since no two machines have quite the same; from before they are read.
    taken=$(psql -X -q -A -t -v ON_ERROR_STOP=1 \
        -c "select to_char(clock_timestamp() at time zone 'utc', 'YYYYMMDD\"T\"HH24MISS.US\"Z\"')")
    # shellcheck disable=SC2086 # several words
    dump "$KEYS/.partial" $KEYS_SCHEMAS
    # The name of the keys' file is its digest, so that one step puts both in place.
    digest=$(sha256sum <"$KEYS/.partial")
    current=$KEYS/keys-${digest%% *}.dump
    echo "$taken" >"$KEYS/TAKEN.partial"
    sync
    mv "$KEYS/.partial" "$current"
    mv "$KEYS/TAKEN.partial" "$KEYS/TAKEN"
    for old in "$KEYS"/keys-*.dump; do
        if [ "$old" != "$current" ]; then rm -f "$old"; fi
    done
    # From here on what is half there is somebody else's.
    trap 'rm -rf "${partial:-}"' EXIT
    if [ -n "$has_flock" ]; then exec 8>&-; fi
}

if [ "${WHAT:-}" = keys ]; then
    take_keys
    sync
    echo "keys of $taken: $(wc -c <"$current") bytes"
    exit 0
fi

# Names are times, in seconds.
name=$(date -u +%Y%m%dT%H%M%SZ)
while [ -e "$BACKUPS/$name" ]; do
    sleep 1
    name=$(date -u +%Y%m%dT%H%M%SZ)
done
partial=$BACKUPS/.partial
trap 'rm -rf "$partial"' EXIT
trap 'exit 1' TERM INT

rm -rf "$partial"
mkdir -p "$partial"
# shellcheck disable=SC2086 # several words
dump "$partial/data.dump" $DATA_SCHEMAS
(cd "$partial" && sha256sum data.dump >SHA256SUMS)

take_keys

mv "$partial" "$BACKUPS/$name"
sync

# Their names are in order.
set -- "$BACKUPS"/[0-9]*T[0-9]*Z
while [ $# -gt "$KEEP" ]; do
    rm -rf "$1"
    shift
done
echo "backup $name: $(wc -c <"$BACKUPS/$name/data.dump") bytes of data"
