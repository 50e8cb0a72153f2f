#!/usr/bin/env bash
# The first step of a container in which a cluster is to run: makes of it what a machine is.
set -euo pipefail

# On cgroup v2 a group that has processes hands no controllers on. Only the machine's own root may, and a container's is none.
if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then
    mkdir -p /sys/fs/cgroup/init
    while read -r process; do
        # Some have ended meanwhile.
        echo "$process" >/sys/fs/cgroup/init/cgroup.procs 2>/dev/null || true
    done </sys/fs/cgroup/cgroup.procs
fi
mount --make-rshared /

# This shell stays as the first process, which every orphan falls to, and passes on what it is told.
"$@" &
command=$!
trap 'kill -TERM $command' INT TERM
wait $command || { code=$?; wait $command 2>/dev/null || true; exit $code; }
