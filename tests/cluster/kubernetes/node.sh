#!/usr/bin/env bash
# The first process of a node, in namespaces of its own (PID, mount, network, host name, IPC): starts the node's programs and stays.
# When it is killed the kernel ends all of the node. Started by `cluster`; not for the command line.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
. "$here/configuration.sh"

node=$1
taint=${2:-} # the key of one that it has from its first moment
name=$(node_name "$node")
folder=$(node_folder "$node")
log=$(node_log "$node")

start() { # NAME COMMAND…
    "${@:2}" >"$log/$1.log" 2>&1 </dev/null &
}

milestone() { echo "$((($(date +%s%N) - started) / 1000000)) ms: $*" >>"$log/boot"; }

# A file system view of the node's own: its state, and nothing of the host's /run.
mount_state() {
    mount --make-rshared /
    mount -t tmpfs -o mode=755 tmpfs /run
    mkdir -p /run/containerd /run/netns /run/lock
    local target
    for target in "${mount_points[@]}"; do
        mkdir -p "$folder$target"
        mount --bind "$folder$target" "$target"
    done
    : >"$folder/resolv.conf" # no name server but the cluster's
}

start_control_plane_store_and_api() {
    start etcd "$bin/etcd" --name="$name" --data-dir="$folder/etcd" --unsafe-no-fsync --log-level=warn \
        --listen-client-urls=http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379 \
        --listen-peer-urls=http://127.0.0.1:2380 --initial-advertise-peer-urls=http://127.0.0.1:2380 \
        --initial-cluster="$name=http://127.0.0.1:2380"
    start kube-apiserver "$bin/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --secure-port=6443 \
        --advertise-address="$control_plane_address" --service-cluster-ip-range="$service_cidr" \
        --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true --profiling=false \
        --default-not-ready-toleration-seconds=5 --default-unreachable-toleration-seconds=5 \
        --client-ca-file="$pki/ca.crt" --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
        --kubelet-client-certificate="$pki/apiserver-kubelet-client.crt" \
        --kubelet-client-key="$pki/apiserver-kubelet-client.key" --kubelet-preferred-address-types=InternalIP \
        --service-account-issuer=https://kubernetes.default.svc.cluster.local \
        --service-account-key-file="$pki/service-accounts.pub" --service-account-signing-key-file="$pki/service-accounts.key" \
        --requestheader-client-ca-file="$pki/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
        --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
        --requestheader-extra-headers-prefix=X-Remote-Extra- \
        --proxy-client-cert-file="$pki/front-proxy-client.crt" --proxy-client-key-file="$pki/front-proxy-client.key"
}

# By default the controllers make 20 requests a second, which many stacks at once would wait for.
start_control_plane_controllers() {
    local kubeconfig=$kubeconfigs/controller-manager.conf qps=(--kube-api-qps=200 --kube-api-burst=400)
    start kube-controller-manager "$bin/kube-controller-manager" --kubeconfig="$kubeconfig" \
        --authentication-kubeconfig="$kubeconfig" --authorization-kubeconfig="$kubeconfig" \
        --bind-address=127.0.0.1 --leader-elect=false "${qps[@]}" --use-service-account-credentials=true --node-monitor-grace-period=20s \
        --root-ca-file="$pki/ca.crt" \
        --service-account-private-key-file="$pki/service-accounts.key" \
        --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
        --flex-volume-plugin-dir="$run/flex-volumes"
    kubeconfig=$kubeconfigs/scheduler.conf
    start kube-scheduler "$bin/kube-scheduler" --kubeconfig="$kubeconfig" --authentication-kubeconfig="$kubeconfig" \
        --authorization-kubeconfig="$kubeconfig" --bind-address=127.0.0.1 --leader-elect=false "${qps[@]}"
}

start_container_runtime() {
    pod_network_configuration "$node" >/etc/cni/net.d/10-pods.conflist
    containerd_configuration >"$folder/containerd.toml"
    start containerd containerd --config "$folder/containerd.toml"
    until_true 20 ctr version
    local image
    for image in "$images"/*.tar; do
        ctr --namespace k8s.io images import "$image" >>"$log/images.log" 2>&1
    done
}

node_is_ready() {
    kubectl get node "$name" --output 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' | grep -q True
}

mkdir -p "$folder" "$log"
started=$(date +%s%N)
: >"$log/boot"
mount_state
hostname "$name"
sysctl --quiet --write net.ipv4.ip_forward=1 net.ipv4.conf.all.route_localnet=1
sysctl --quiet --write net.bridge.bridge-nf-call-iptables=1 2>/dev/null || true # where the module is there

[ "$node" != 1 ] || start_control_plane_store_and_api
start_container_runtime
milestone "containerd runs and has its images"

kubelet_configuration "$node" "$taint" >"$folder/kubelet.yaml"
start kubelet "$bin/kubelet" --config="$folder/kubelet.yaml" --kubeconfig="$kubeconfigs/$name.conf" --hostname-override="$name" \
    --node-ip="$(node_address "$node")" --cert-dir=/var/lib/kubelet/pki --root-dir=/var/lib/kubelet
until_true 60 kubectl get --raw /readyz
milestone "the API server is ready"

[ "$node" != 1 ] || start_control_plane_controllers
proxy_configuration "$node" >"$folder/proxy.yaml"
start kube-proxy "$bin/kube-proxy" --config="$folder/proxy.yaml"

until_true 60 node_is_ready
milestone "$name is Ready"
echo up >>"$log/boot"

trap 'exit 0' TERM
while :; do
    sleep 3600 &
    wait $! || true
done
