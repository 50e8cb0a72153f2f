"""Many stacks on a cluster whose scheduler and controllers are Kubernetes' own, and whose nodes and pods are simulated by kwok.

Volumes are made beforehand: the provisioner of the test cluster runs in a pod, and a simulated pod provisions nothing.
"""
import atexit, json, subprocess, time
from figures import BIN, CACHE, Operator, number, of_histogram, quantile, say, stack, wait
from api import STACKS
from cluster import SCRIPT, Cluster
from scale import Ready

NAMESPACE, NODES, CLASS = "bench-kwok", 10, "bench"


def node(name):
    room = {"cpu": "64", "memory": "256Gi", "pods": "1000"}
    return {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "type": "kwok"}, "annotations": {"kwok.x-k8s.io/node": "fake"}},
            "status": {"allocatable": room, "capacity": room}}


def volume(name):
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
            "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": CLASS, "hostPath": {"path": "/nowhere"}}}


def simulate(cluster, volumes):
    log = open(CACHE / "bench-operator-kwok.log", "ab")
    kwok = subprocess.Popen([BIN / "kwok", f"--kubeconfig={cluster.kubeconfig}", "--manage-all-nodes=false",
                             "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake", "--node-lease-duration-seconds=20"], stdout=log, stderr=log)
    atexit.register(kwok.kill)
    nodes, claims = [node(f"kwok-{index}") for index in range(NODES)], [volume(f"bench-{index}") for index in range(volumes)]
    storage = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": CLASS}, "provisioner": "kubernetes.io/no-provisioner"}
    listed = {"apiVersion": "v1", "kind": "List", "items": [storage, *nodes, *claims]}
    cluster.kubectl("apply", "--server-side", "--filename=-", text=json.dumps(listed))
    cluster.kubectl("cordon", "node1")
    wait("simulated nodes", 60, lambda: cluster.kubectl("get", "nodes", "--selector=type=kwok").count(" Ready") == NODES, 1)
    return kwok


def measure():
    stacks = number("KWOK_STACKS", 100)
    subprocess.run([SCRIPT, "build", "kwok"], check=True)
    cluster = Cluster()
    kwok = simulate(cluster, stacks)
    api, log = cluster.api, CACHE / "bench-operator.log"
    cluster.kubectl("create", "namespace", NAMESPACE)
    ready = Ready(api)
    operator = Operator(cluster.kubeconfig, log, "--all-namespaces", "--log-level=warn")
    begun, applied = time.monotonic(), {}
    say(f"{stacks} stacks with simulated nodes and pods")
    for index in range(stacks):
        resource = stack(f"clinic-{index}", NAMESPACE)
        resource["spec"]["database"]["managed"]["storage"]["className"] = CLASS
        api.must("POST", f"{STACKS}/namespaces/{NAMESPACE}/healthcarestacks", resource)
        applied[NAMESPACE, f"clinic-{index}"] = time.monotonic()
    wait(f"{stacks} ready stacks", 60 + 10 * stacks, lambda: len(ready.at) >= stacks, 0.5)
    after = operator.reconciles()
    found = {"stacks": stacks, "nodes": NODES, "converged_s": time.monotonic() - begun,
             "ready_p50_s": quantile([ready.at[key] - at for key, at in applied.items()], 0.5), "cpu_s": operator.cpu_seconds(),
             "memory_mb": operator.memory_mb("VmHWM"), "requests_per_stack": operator.metric("api_requests_total") / stacks,
             "reconciles_per_stack": after[float("inf")] / stacks, "reconcile_p50_ms": of_histogram({}, after, 0.5),
             "reconcile_p99_ms": of_histogram({}, after, 0.99), "repairs": operator.metric("drift_repairs_total")}
    say(json.dumps(found))
    operator.stop()
    kwok.kill()
    cluster.stop()
    return found
