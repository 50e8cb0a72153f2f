"""One stack on a cluster that runs it: from apply to Ready, drift, and an edit until it is live."""
import datetime, http.client, json, random, time
from figures import CACHE, Operator, number, quantile, say, spread, stack, wait
from api import STACKS
from cluster import Cluster, archives

NAMESPACE = "bench"
LABEL = "app.kubernetes.io/part-of"
KINDS = ["api/v1/{}/services", "api/v1/{}/configmaps", "api/v1/{}/serviceaccounts", "apis/apps/v1/{}/deployments",
         "apis/networking.k8s.io/v1/{}/networkpolicies", "apis/rbac.authorization.k8s.io/v1/{}/roles",
         "apis/rbac.authorization.k8s.io/v1/{}/rolebindings"]
MANAGED = "labelSelector=app.kubernetes.io%2Fmanaged-by%3Dhealthcare-operator"


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def start(api, name):
    """Applies a stack. When it was Ready, and what its pods, Jobs and conditions tell of the way there; seconds since apply."""
    begun = time.time()
    api.must("POST", f"{STACKS}/namespaces/{NAMESPACE}/healthcarestacks", stack(name, NAMESPACE))
    path = f"{STACKS}/namespaces/{NAMESPACE}/healthcarestacks/{name}"
    met = lambda kind: any(it["type"] == kind and it["status"] == "True" for it in api.must("GET", path).get("status", {}).get("conditions", []))
    marks = {}
    for kind in ("DatabaseReady", "MigrationsComplete", "Ready"):
        wait(f"{kind} of {name}", 180, lambda: met(kind), 0.02)
        marks[kind] = time.time() - begun
    listed = lambda path: api.must("GET", f"{path.format('namespaces/' + NAMESPACE)}?labelSelector=healthcarestack.dev%2Fstack%3D{name}")["items"]
    pods, jobs = listed("/api/v1/{}/pods"), listed("/apis/batch/v1/{}/jobs")
    ended = lambda pod: seconds(pod["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"])
    ready = lambda pod: next(seconds(it["lastTransitionTime"]) for it in pod["status"]["conditions"] if it["type"] == "Ready")
    part = lambda pod: pod["metadata"]["labels"]["app.kubernetes.io/name"]
    of = lambda chosen, what: max((what(pod) for pod in pods if chosen(part(pod))), default=begun) - begun
    marks["database pod ready"] = of(lambda part: part == "postgres", ready)
    marks["setup pod ended"] = of(lambda part: part == "database-setup", ended)
    marks["migration pods ended"] = of(lambda part: part.startswith("migrate-"), ended)
    marks["migration Jobs complete"] = max(seconds(job["status"]["completionTime"]) for job in jobs) - begun
    marks["service pods made"] = of(lambda part: part.endswith("-service"), lambda pod: seconds(pod["metadata"]["creationTimestamp"]))
    marks["service and gateway pods ready"] = of(lambda part: part.endswith("-service") or part == "api-gateway", ready)
    return marks


def end(api, name):
    api.must("DELETE", f"{STACKS}/namespaces/{NAMESPACE}/healthcarestacks/{name}")
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=healthcarestack.dev%2Fstack%3D{name}"
    wait(f"the end of {name}", 120, lambda: not api.must("GET", pods)["items"], 0.5)


def own_time(operator, before):
    """Seconds that the operator has spent in reconciles since `before`."""
    return operator.metric("reconcile_seconds_sum") - before


def drift(api, count):
    """Random edits and deletions of what the stack consists of; seconds until each is repaired, as a watcher would see it."""
    chance, took = random.Random(20), {"edit": [], "deletion": []}
    objects = []
    for kind in KINDS:
        path = "/" + kind.format(f"namespaces/{NAMESPACE}")
        objects += [(path, item["metadata"]) for item in api.must("GET", f"{path}?{MANAGED}")["items"]]
    for _ in range(count):
        kind, metadata = chance.choice(objects)
        path = f"{kind}/{metadata['name']}"
        # A Deployment that is deleted takes its pods along: an outage, and another stack to measure from then on.
        is_deletion = chance.random() < 0.5 and "deployments" not in kind
        before = api.must("GET", path)["metadata"]["uid"]
        if is_deletion:
            api.must("DELETE", path)
            repaired = lambda: (answer := api.call("GET", path))[0] == 200 and answer[1]["metadata"]["uid"] != before
        else:
            api.merge(path, {"metadata": {"labels": {LABEL: "somebody"}}})
            repaired = lambda: api.must("GET", path)["metadata"]["labels"].get(LABEL) != "somebody"
        begun = time.monotonic()
        wait(f"the repair of {path}", 60, repaired, 0.002)
        took["deletion" if is_deletion else "edit"].append(time.monotonic() - begun)
        time.sleep(0.3) # somebody who insists at once is told of, not repaired
    both = took["edit"] + took["deletion"]
    return {name: {"count": len(of), "p50_ms": 1000 * quantile(of, 0.5), "p99_ms": 1000 * quantile(of, 0.99), "max_ms": 1000 * max(of)}
            for name, of in {**took, "both": both}.items() if of}


def live(api, name, count):
    """Edits of a route's limit in the spec; seconds until the gateway answers by it. Whoever is not signed in gets 401, or 429 if limited."""
    service = api.must("GET", f"/api/v1/namespaces/{NAMESPACE}/services/{name}-api-gateway")
    gateway = http.client.HTTPConnection(service["spec"]["clusterIP"], 8080, timeout=10)

    def status():
        gateway.request("GET", "/api/patients")
        answer = gateway.getresponse()
        answer.read()
        return answer.status

    path = f"{STACKS}/namespaces/{NAMESPACE}/healthcarestacks/{name}"
    edit = lambda gateway: api.merge(path, {"spec": {"gateway": gateway}})
    edit({"rateLimits": {"perClient": {"requestsPerSecond": 1_000_000, "burst": 1_000_000}}}) # what asks here asks often
    time.sleep(2)
    limited = {"path": "/api/patients", "service": "patient", "rateLimits": {"perClient": {"requestsPerSecond": 1, "burst": 1}}}
    took = []
    for index in range(count):
        routes, wanted = ([limited], 429) if index % 2 == 0 else ([], 401)
        edit({"routes": routes})
        begun = time.monotonic()
        wait(f"{wanted} after {routes}", 30, lambda: status() == wanted, 0.002)
        took.append(time.monotonic() - begun)
        time.sleep(0.2)
    return {"count": count, "p50_ms": 1000 * quantile(took, 0.5), "p99_ms": 1000 * quantile(took, 0.99), "max_ms": 1000 * max(took)}


def measure():
    cluster = Cluster(archives())
    api, log = cluster.api, CACHE / "bench-operator.log"
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    cluster.kubectl("create", "namespace", NAMESPACE)
    operator = Operator(cluster.kubeconfig, log, "--all-namespaces", "--log-level=warn")
    rounds, own = [], []
    for index in range(number("ROUNDS", 5)):
        spent = operator.metric("reconcile_seconds_sum")
        rounds.append(start(api, f"round-{index}"))
        own.append(own_time(operator, spent))
        say(f"round {index}: {json.dumps({key: round(value, 1) for key, value in rounds[-1].items()})}, {own[-1]:.1f} s in reconciles")
        end(api, f"round-{index}")
    start(api, "clinic")
    time.sleep(5)
    found = {"start": {mark: spread([one[mark] for one in rounds]) for mark in rounds[0]}, "own_s": spread(own)}
    found["live"] = live(api, "clinic", number("EDITS", 100) // 2)
    say(json.dumps(found["live"]))
    found["drift"] = drift(api, number("EDITS", 100))
    say(json.dumps(found["drift"]))
    found["memory_mb"] = operator.memory_mb("VmHWM")
    end(api, "clinic")
    operator.stop()
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    cluster.stop()
    return found
