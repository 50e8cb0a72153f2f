# The cluster's certificate authorities, a certificate for each component, and a kubeconfig for each client.
# shellcheck shell=bash

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$pki/$1.key"; }

new_authority() { # NAME COMMON-NAME
    new_key "$1"
    openssl req -x509 -new -key "$pki/$1.key" -subj "/CN=$2" -days 30 -out "$pki/$1.crt" \
        -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature
}

new_certificate() { # NAME SUBJECT AUTHORITY clientAuth|serverAuth [ALTERNATIVE-NAMES]
    new_key "$1"
    openssl req -new -key "$pki/$1.key" -subj "$2" |
        openssl x509 -req -CA "$pki/$3.crt" -CAkey "$pki/$3.key" -CAcreateserial -days 30 -out "$pki/$1.crt" -extfile <(
            echo "basicConstraints=CA:FALSE"
            echo "keyUsage=digitalSignature,keyEncipherment"
            echo "extendedKeyUsage=$4"
            [ -z "${5:-}" ] || echo "subjectAltName=$5"
        ) 2>/dev/null
}

new_client() { # NAME SUBJECT: a certificate, and a kubeconfig that holds it
    new_certificate "$1" "$2" ca clientAuth
    (
        umask 077
        cat >"$kubeconfigs/$1.conf" <<YAML
apiVersion: v1
kind: Config
clusters:
- name: hcs-$cluster_name
  cluster: {server: "https://$control_plane_address:6443", certificate-authority-data: $(base64 -w0 "$pki/ca.crt")}
users:
- name: $1
  user: {client-certificate-data: $(base64 -w0 "$pki/$1.crt"), client-key-data: $(base64 -w0 "$pki/$1.key")}
contexts:
- name: hcs-$cluster_name
  context: {cluster: hcs-$cluster_name, user: $1}
current-context: hcs-$cluster_name
YAML
    )
}

make_certificates() {
    local node
    mkdir -p "$kubeconfigs"
    (umask 077; mkdir -p "$pki")
    new_authority ca kubernetes-ca
    new_authority front-proxy-ca front-proxy-ca
    new_certificate apiserver /CN=kube-apiserver ca serverAuth "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:$kubernetes_service_address,IP:$control_plane_address"
    new_certificate apiserver-kubelet-client /O=system:masters/CN=apiserver-kubelet-client ca clientAuth
    new_certificate front-proxy-client /CN=front-proxy-client front-proxy-ca clientAuth
    new_client admin /O=system:masters/CN=admin
    new_client controller-manager /CN=system:kube-controller-manager
    new_client scheduler /CN=system:kube-scheduler
    new_client proxy /CN=system:kube-proxy
    for ((node = 1; node <= nodes_max; node++)); do
        new_client "$(node_name "$node")" "/O=system:nodes/CN=system:node:$(node_name "$node")"
    done
    new_key service-accounts
    openssl ec -in "$pki/service-accounts.key" -pubout -out "$pki/service-accounts.pub" 2>/dev/null
}
