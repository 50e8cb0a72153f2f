#!/bin/sh
# Starts PostgreSQL, after making its files if there are none. Runs in any image that has PostgreSQL's programs and a user to run them.
#
#   $CONFIG    postgresql.conf and pg_hba.conf
#   $DATA      the volume; the server's files are in pgdata
#   $SECRETS   postgres/password: the superuser's; tls/tls.crt, tls/tls.key: the server's certificate
#   $DATABASE  the database to make beside PostgreSQL's own
set -eu
umask 077

pgdata=$DATA/pgdata
password=$SECRETS/postgres/password
# Debian's images keep the server's programs aside.
for bin in /usr/lib/postgresql/*/bin; do
    if [ -d "$bin" ]; then PATH=$PATH:$bin; fi
done

# One statement, without a server: stdin to the database "postgres" of the files in $1.
single_user() {
    postgres --single -j -D "$1" -c log_min_messages=warning -c log_min_error_statement=panic postgres >/dev/null
}

# The superuser's password is kept in the files: it is set again when the Secret has another.
password_digest() {
    sha256sum <"$password"
}

initialise() {
    # What a start left that was broken off has no data in it: the folder gets its name when it is whole.
    new=$DATA/pgdata.new
    rm -rf "$new"
    major=$(initdb --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
    if [ "$major" -ge 17 ]; then
        locale='--locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C'
    else
        locale='--locale=C.UTF-8'
    fi
    # shellcheck disable=SC2086 # several words
    initdb -D "$new" --username=postgres --pwfile="$password" --auth=scram-sha-256 --encoding=UTF8 --data-checksums $locale
    echo "create database $DATABASE;" | single_user "$new"
    password_digest >"$new/superuser.sha256"
    sync
    mv "$new" "$pgdata"
}

if [ ! -s "$pgdata/PG_VERSION" ]; then
    initialise
fi
# Kubernetes may have given the group of the volume more than PostgreSQL wants.
chmod 0700 "$pgdata"

here=$(cat "$pgdata/PG_VERSION")
program=$(postgres --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
if [ "$here" != "$program" ]; then
    echo "the data is PostgreSQL $here's, and this image has $program: restore a backup into a new stack instead" >&2
    exit 1
fi

# A container that was killed leaves its lock behind. Process ids start again with each container, so that the one in the lock may be
# somebody else's now; only if it is a server's, which there cannot be before we start one, is the lock believed.
if [ -s "$pgdata/postmaster.pid" ]; then
    read -r pid <"$pgdata/postmaster.pid"
    if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != postgres ]; then
        rm -f "$pgdata/postmaster.pid"
    fi
fi

if [ "$(password_digest)" != "$(cat "$pgdata/superuser.sha256" 2>/dev/null)" ]; then
    # Letters and digits: made by the operator, and checked since it stands in a statement.
    case $(cat "$password") in
    *[!a-zA-Z0-9]* | '')
        echo 'the superuser password must be letters and digits' >&2
        exit 1
        ;;
    esac
    printf "alter role postgres password '%s';\n" "$(cat "$password")" | single_user "$pgdata"
    password_digest >"$pgdata/superuser.sha256"
fi

postgres -D "$pgdata" -c config_file="$CONFIG/postgresql.conf" -c hba_file="$CONFIG/pg_hba.conf" \
    -c ssl_cert_file="$SECRETS/tls/tls.crt" -c ssl_key_file="$SECRETS/tls/tls.key" &
server=$!
# SIGTERM would let PostgreSQL wait for every client to leave; SIGINT ends their sessions and stops in order.
trap 'kill -INT "$server" 2>/dev/null' TERM INT

# A renewed certificate is read without a restart.
(
    trap - TERM INT
    seen=$(sha256sum "$SECRETS/tls/tls.crt")
    while sleep "${TLS_CHECK_SECONDS:-10}"; do
        now=$(sha256sum "$SECRETS/tls/tls.crt") || continue
        if [ "$now" != "$seen" ]; then
            seen=$now
            kill -HUP "$server"
        fi
    done
) &
watcher=$!

# A signal ends `wait`, not the server.
while kill -0 "$server" 2>/dev/null; do
    code=0
    wait "$server" || code=$?
done
kill "$watcher" 2>/dev/null || true
exit "$code"
