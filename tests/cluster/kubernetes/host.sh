# What a cluster needs of the host, and takes away again: a bridge with a route, a network namespace and cgroups for each node, and the
# system-wide settings that a kubelet changes.
# shellcheck shell=bash

# The kubelet sets these for the whole machine, not for its namespace.
kubelet_sysctls=(vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes)

# On a machine with cgroup v1 each controller is a tree of its own, and the kubelet wants its root in all of them, `systemd` too.
cgroup_trees() {
    if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then
        echo /sys/fs/cgroup
    else
        local tree
        for tree in cpu cpuacct cpuset memory devices freezer blkio pids hugetlb net_cls net_prio perf_event systemd; do
            [ ! -d /sys/fs/cgroup/$tree ] || echo /sys/fs/cgroup/$tree
        done
    fi
}

save_sysctls() {
    [ -e "$runs/sysctls" ] || sysctl "${kubelet_sysctls[@]}" >"$runs/sysctls"
}

# When the last of our clusters is gone.
restore_sysctls() {
    if [ -e "$runs/sysctls" ] && ! ls /run/netns/hcs-* >/dev/null 2>&1; then
        sysctl --quiet --load="$runs/sysctls"
        rm "$runs/sysctls"
    fi
}

make_bridge() {
    ip link add "$bridge" type bridge
    ip address add "$bridge_address/24" dev "$bridge"
    ip link set "$bridge" up
    ip route add "$service_cidr" via "$control_plane_address" # so that tests on the host reach ClusterIPs
}

# Pods of different nodes reach each other by plain routes, and the host reaches all of them.
make_node_network() { # N
    local namespace other
    namespace=$(node_namespace "$1")
    ip netns add "$namespace"
    ip link add "$namespace" type veth peer name eth0 netns "$namespace"
    ip link set "$namespace" master "$bridge" up
    ip -n "$namespace" link set lo up
    ip -n "$namespace" address add "$(node_address "$1")/24" dev eth0
    ip -n "$namespace" link set eth0 up
    ip -n "$namespace" route add default via "$bridge_address" # some programs want one; the host forwards nothing
    ip route replace "$(node_pod_cidr "$1")" via "$(node_address "$1")"
    for ((other = 1; other <= nodes_max; other++)); do
        [ "$other" = "$1" ] || ip -n "$namespace" route add "$(node_pod_cidr "$other")" via "$(node_address "$other")"
    done
}

make_node_cgroups() { # N
    local tree cgroup file
    for tree in $(cgroup_trees); do
        cgroup=$tree/$(node_namespace "$1")
        mkdir -p "$cgroup"
        case $tree in
            # A cpuset is of no use before it is told which processors and memory it may use.
            */cpuset) for file in cpus mems; do cat "$tree/cpuset.$file" >"$cgroup/cpuset.$file"; done ;;
            /sys/fs/cgroup)
                for file in cpu cpuset io memory pids hugetlb; do
                    echo "+$file" >"$tree/cgroup.subtree_control" && echo "+$file" >"$cgroup/cgroup.subtree_control"
                done 2>/dev/null || true
                ;;
        esac
    done
}

# The node's first process: the one that is PID 1 in a PID namespace one below ours. Its end is the end of all of the node.
node_init_pid() { # N
    local pid
    for pid in $(ip netns pids "$(node_namespace "$1")" 2>/dev/null); do
        if awk '/^NSpid:/ { found = NF == 3 && $3 == 1 } END { exit !found }' "/proc/$pid/status" 2>/dev/null; then
            echo "$pid"
            return
        fi
    done
    return 1
}

in_node() { # N COMMAND…; not `ip netns exec`, which mounts a /sys without the cgroups
    local pid
    pid=$(node_init_pid "$1") || fail "node $1 is not up"
    nsenter --target "$pid" --mount --net --pid --uts --ipc -- "${@:2}"
}

node_is_gone() { [ -z "$(ip netns pids "$1" 2>/dev/null)" ]; }

# Everything in the node's network namespace is ours. The kernel ends the pods with the node's first process.
stop_node() { # N
    local namespace tree
    namespace=$(node_namespace "$1")
    # The cable first: a machine that loses its power takes no leave of anybody.
    ip link delete "$namespace" 2>/dev/null || true
    ip netns pids "$namespace" 2>/dev/null | xargs --no-run-if-empty kill -KILL 2>/dev/null || true
    until_true 30 node_is_gone "$namespace" || say "processes of $(node_name "$1") do not end"
    ip netns delete "$namespace" 2>/dev/null || true
    for tree in $(cgroup_trees) /sys/fs/cgroup/unified; do
        until_true 10 remove_cgroup "$tree/$namespace" || say "$tree/$namespace is still there"
    done
}

remove_cgroup() { # empty ones only can be removed, the innermost first
    [ ! -d "$1" ] || find "$1" -depth -type d -exec rmdir {} +
}

# The mount points that the host lacks are made for the nodes, and then taken away again.
make_mount_points() {
    local folder
    for folder in "${mount_points[@]}"; do
        [ -d "$folder" ] || { mkdir -p "$folder" && echo "$folder" >>"$runs/mount-points"; }
    done
}

remove_mount_points() {
    [ -e "$runs/mount-points" ] || return 0
    ! ls /run/netns/hcs-* >/dev/null 2>&1 || return 0
    sort --unique "$runs/mount-points" | xargs rmdir --ignore-fail-on-non-empty 2>/dev/null || true
    rm "$runs/mount-points"
}

# Whatever of this cluster is on the machine, whole or in parts, after a crash as after a run.
remove_cluster() {
    local node
    for ((node = 1; node <= nodes_max; node++)); do stop_node "$node"; done
    ip link delete "$bridge" 2>/dev/null || true
    rm -rf "$run"
    mkdir -p "$runs"
    restore_sysctls
    remove_mount_points
}
