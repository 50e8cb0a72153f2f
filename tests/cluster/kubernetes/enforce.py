"""Enforces the NetworkPolicies of some namespaces on this node by its packet filter, until standard input ends: `enforce.py NAMESPACE…`.

Started by `cluster enforce` in the node's network namespace. The cluster's pod network knows no policies; this shows what they do where a
network has them. It asks twice a second and writes the filter anew when something has changed, so a pod that is new is unrestricted for
that long. It knows what our policies use: numbered ports, selectors by label, CIDRs. What is between a pod and the
node itself, where the API server is, passes.
"""

import ipaddress
import json
import os
import select
import subprocess
import sys

# One for each set of namespaces, so that two tests do not take each other's away.
TABLE = "inet network-policies-" + "-".join(sys.argv[1:])


def ask(*what):
    command = [os.environ["KUBECTL"], "get", *what, "--output", "json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["items"]


def selects(selector, labels):
    def holds(rule):
        value, among = labels.get(rule["key"]), rule.get("values", [])
        return {
            "In": value in among,
            "NotIn": value not in among,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[rule["operator"]]

    wanted = selector.get("matchLabels", {}).items()
    return all(labels.get(key) == value for key, value in wanted) and all(map(holds, selector.get("matchExpressions", [])))


class Pods:
    """The pods that have an address of their own, with their namespaces' labels."""

    def __init__(self):
        self.namespaces = {one["metadata"]["name"]: one["metadata"].get("labels", {}) for one in ask("namespaces")}
        self.all = [
            (pod["status"]["podIP"], pod["metadata"]["namespace"], pod["metadata"].get("labels", {}))
            for pod in ask("pods", "--all-namespaces")
            if pod["status"].get("podIP") and not pod["spec"].get("hostNetwork") and pod["status"]["phase"] in ("Pending", "Running")
        ]

    def of(self, namespace, selector):
        return [address for address, home, labels in self.all if home == namespace and selects(selector, labels)]

    def peers(self, namespace, peer):
        """Addresses that a peer of a policy in this namespace means, and those that it leaves out."""
        if "ipBlock" in peer:
            block = peer["ipBlock"]
            ours = [block["cidr"]] if ipaddress.ip_network(block["cidr"]).version == 4 else []
            return ours, block.get("except", [])
        homes = [namespace]
        if "namespaceSelector" in peer:
            homes = [name for name, labels in self.namespaces.items() if selects(peer["namespaceSelector"], labels)]
        return [address for home in homes for address in self.of(home, peer.get("podSelector", {}))], []


def sets(values):
    return "{ " + ", ".join(sorted(set(map(str, values)))) + " }"


def port_matches(ports):
    if not ports:
        return [""]
    matches = []
    for port in ports:
        last = f"-{port['endPort']}" if "endPort" in port else ""
        assert isinstance(port.get("port"), int), f"only numbered ports are known here: {port}"
        matches.append(f"{port.get('protocol', 'TCP').lower()} dport {port['port']}{last} ")
    return matches


def rule_lines(pods, namespace, rule, side, field):
    """What one rule lets through, as lines of a chain; `side` is the other end's address in a packet."""
    ports = port_matches(rule.get("ports"))
    if not rule.get(field):
        return [f"{port}return" for port in ports]
    lines = []
    for peer in rule[field]:
        addresses, without = pods.peers(namespace, peer)
        if addresses:
            unless = f"ip {side} != {sets(without)} " if without else ""
            lines += [f"ip {side} {sets(addresses)} {unless}{port}return" for port in ports]
    return lines


def filter_rules(namespaces):
    pods = Pods()
    chains = {}
    for namespace in namespaces:
        for policy in ask("networkpolicies", "--namespace", namespace):
            spec = policy["spec"]
            for direction, side, field in (("Egress", "daddr", "to"), ("Ingress", "saddr", "from")):
                if direction not in spec["policyTypes"]:
                    continue
                rules = spec.get(direction.lower(), [])
                lines = [line for rule in rules for line in rule_lines(pods, namespace, rule, side, field)]
                for address in pods.of(namespace, spec.get("podSelector", {})):
                    chains.setdefault((direction.lower(), address), []).extend(lines)
    text = [f"table {TABLE}", f"delete table {TABLE}", f"table {TABLE} {{"]
    for (direction, address), lines in sorted(chains.items()):
        text += [f"chain {direction}-{address} {{", *sorted(set(lines)), "counter reject", "}"]
    text += ["chain forward {", "type filter hook forward priority filter; policy accept;", "ct state established,related accept"]
    for direction, side in (("egress", "saddr"), ("ingress", "daddr")):
        text += [f"ip {side} {address} jump {direction}-{address}" for way, address in sorted(chains) if way == direction]
    return "\n".join([*text, "}", "}", ""])


def main():
    written = None
    while not select.select([sys.stdin], [], [], 0.5)[0]:
        rules = filter_rules(sys.argv[1:])
        if rules != written:
            subprocess.run(["nft", "--file", "-"], input=rules, text=True, check=True)
            if written is None:
                print("enforced", flush=True)
            written = rules
    subprocess.run(["nft", "delete", "table", *TABLE.split()], check=True)


main()
