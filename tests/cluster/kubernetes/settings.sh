# Names, addresses and folders of one cluster. Sourced by every script here; decides everything that more than one of them must know.
#
# CLUSTER_NAME picks one of three clusters, which may be up side by side: `test` (the tests'), `try` (`make cluster`), `bench`.
# Everything of ours on the host carries the prefix `hcs-` and that name.
# shellcheck shell=bash disable=SC2034

cluster_name=${CLUSTER_NAME:-test}
case $cluster_name in
    test) octet=77 services_octet=96 pods_octet=244 ;;
    try) octet=78 services_octet=97 pods_octet=245 ;;
    bench) octet=79 services_octet=98 pods_octet=246 ;;
    *) echo "CLUSTER_NAME is test, try or bench, not $cluster_name" >&2; exit 2 ;;
esac

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/healthcare-stack/cluster
bin=$cache/bin                            # kubernetes, coredns, helm, …: built once
images=$cache/images                      # what every node imports as it starts: pause, CoreDNS, the storage provisioner
definitions=$cache/definitions            # of kinds that other software brings
runs=$cache/run
run=$runs/$cluster_name                   # all that this cluster writes; gone after `down`
pki=$run/pki
kubeconfigs=$run/kubeconfig
export KUBECONFIG=$kubeconfigs/admin.conf # the one for people and tests

bridge=hcs-$cluster_name
bridge_address=10.$octet.0.1
control_plane_address=10.$octet.0.10
service_cidr=10.$services_octet.0.0/16
kubernetes_service_address=10.$services_octet.0.1
dns_address=10.$services_octet.0.10
pod_cidr=10.$pods_octet.0.0/16
nodes_max=3
disk_least=5 # GiB; two nodes with every image, volume and log of all tests take about three
# Where a node mounts folders of its own.
mount_points=(
    /var/lib/kubelet /var/lib/containerd /var/lib/cni /etc/cni/net.d
    /var/log/pods /var/log/containers /opt/local-path-provisioner
)

# Of node N (1 to nodes_max; the first one also runs the control plane).
node_name() { echo "node$1"; }
node_address() { echo "10.$octet.0.$((9 + $1))"; }
node_pod_cidr() { echo "10.$pods_octet.$1.0/24"; }
node_namespace() { echo "hcs-$cluster_name$1"; } # names the network namespace, the host's end of the cable and the cgroup alike
node_folder() { echo "$run/node$1"; }
node_log() { echo "$run/log/node$1"; }

say() { echo "cluster $cluster_name: $*" >&2; }
fail() { say "$*"; exit 1; }
kubectl() { "$bin/kubectl" "$@"; }

# Every 0.1 s, at most SECONDS long: `until_true SECONDS COMMAND…`.
until_true() {
    local tries=$(($1 * 10))
    shift
    until "$@" >/dev/null 2>&1; do
        ((tries-- > 0)) || return 1
        sleep 0.1
    done
}
