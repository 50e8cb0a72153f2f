#!/bin/sh
# Takes a backup: the data into a folder of its own, the wrapped keys in the place of those of the last backup.
#
#   $BACKUPS, $KEYS            two volumes
#   $DATA_SCHEMAS, $KEYS_SCHEMAS   what goes where, names apart by blanks
#   $KEEP                      how many backups of the data are kept
#   PGSERVICEFILE, PGSERVICE   how to connect
#
# Keys are kept in their latest state alone: with yesterday's, yesterday's backup would open again what has been erased since. They are
# read after the data, so that every row has its key.
set -eu
umask 077

# One at a time: one that is asked for while another is taken comes after it.
if command -v flock >/dev/null; then
    exec 9>"$BACKUPS/.lock"
    flock 9
else
    echo 'this image has no flock: take no backup while another is taken' >&2
fi

# In its first moments a pod may be turned away, until all of the network has heard of it. If that stays so, pg_dump says why.
tries=60
while [ $tries -gt 0 ] && ! pg_isready -q -t 1; do
    tries=$((tries - 1))
    sleep 1
done

# Names are times, in seconds.
name=$(date -u +%Y%m%dT%H%M%SZ)
while [ -e "$BACKUPS/$name" ]; do
    sleep 1
    name=$(date -u +%Y%m%dT%H%M%SZ)
done
partial=$BACKUPS/.partial
trap 'rm -rf "$partial" "$KEYS/.partial"' EXIT
trap 'exit 1' TERM INT

dump() {
    file=$1
    shift
    for schema in "$@"; do
        set -- "$@" --schema="$schema"
        shift
    done
    pg_dump --format=custom --no-owner --no-privileges --lock-wait-timeout=60s --file="$file" "$@"
}

rm -rf "$partial" "$KEYS/.partial"
mkdir -p "$partial"
# shellcheck disable=SC2086 # several words
dump "$partial/data.dump" $DATA_SCHEMAS
(cd "$partial" && sha256sum data.dump >SHA256SUMS)

# The name of the keys' file is its digest, so that one step puts both in place.
# shellcheck disable=SC2086 # several words
dump "$KEYS/.partial" $KEYS_SCHEMAS
digest=$(sha256sum <"$KEYS/.partial")
current=$KEYS/keys-${digest%% *}.dump
sync
mv "$KEYS/.partial" "$current"
for old in "$KEYS"/keys-*.dump; do
    if [ "$old" != "$current" ]; then rm -f "$old"; fi
done

mv "$partial" "$BACKUPS/$name"
sync

# Their names are in order.
set -- "$BACKUPS"/[0-9]*T[0-9]*Z
while [ $# -gt "$KEEP" ]; do
    rm -rf "$1"
    shift
done
echo "backup $name: $(wc -c <"$BACKUPS/$name/data.dump") bytes of data"
