"""Many stacks on a real etcd and API server, where a faker of statuses stands in for everything that would run them.

The faker answers each new Deployment, StatefulSet and Job with the status that its controller would give it at once. It costs processor
time of the same two cores, and so do the API server and etcd: times are times of them all together.
"""
import atexit, itertools, json, os, queue, re, shutil, subprocess, tempfile, threading, time, pathlib, secrets
from figures import BIN, CACHE, ROOT, Operator, free_port, number, of_histogram, quantile, say, stack, wait
from api import STACKS, Api

NAMESPACES = 10


class Control:
    """An etcd and an API server, without controllers."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-operator-"))
        self.processes = []
        atexit.register(self.stop)
        self.boot()

    def boot(self):
        client, peer, port = free_port(), free_port(), free_port()
        address = f"http://127.0.0.1:{client}"
        self.start("etcd", "--unsafe-no-fsync", "--log-level=warn", f"--data-dir={self.folder}/etcd", f"--listen-client-urls={address}",
                   f"--advertise-client-urls={address}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
                   f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}", f"--initial-cluster=default=http://127.0.0.1:{peer}",
                   "--quota-backend-bytes=8589934592")
        token, key, tokens = secrets.token_hex(16), self.folder / "key.pem", self.folder / "tokens.csv"
        tokens.write_text(f"{token},bench,bench,system:masters\n")
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        self.start("kube-apiserver", f"--etcd-servers={address}", f"--secure-port={port}", "--bind-address=127.0.0.1",
                   f"--cert-dir={self.folder}/certificates", f"--token-auth-file={tokens}", "--authorization-mode=RBAC",
                   "--service-account-issuer=https://bench", f"--service-account-key-file={key}",
                   f"--service-account-signing-key-file={key}", "--service-cluster-ip-range=10.64.0.0/12", "--disable-admission-plugins=ServiceAccount",
                   "--profiling=false")
        self.kubeconfig = self.folder / "kubeconfig"
        self.kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "bench",
            "clusters": [{"name": "bench", "cluster": {"server": f"https://127.0.0.1:{port}",
                                                       "certificate-authority": f"{self.folder}/certificates/apiserver.crt"}}],
            "users": [{"name": "bench", "user": {"token": token}}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench", "namespace": "default"}}]}))
        wait("an API server", 60, lambda: (self.folder / "certificates/apiserver.crt").exists())
        self.api = Api(self.kubeconfig, BIN / "kubectl")
        wait("an API server", 60, self.is_ready, 0.3)
        crd = subprocess.run([BIN / "kubectl", f"--kubeconfig={self.kubeconfig}", "apply", "--server-side",
                              f"--filename={ROOT}/crds/healthcarestack.yaml"], capture_output=True, text=True)
        assert crd.returncode == 0, crd.stderr
        wait("the definition", 30, lambda: self.api.call("GET", f"{STACKS}/healthcarestacks")[0] == 200)

    def start(self, name, *arguments):
        log = open(self.folder / f"{name}.log", "ab")
        self.processes.append(subprocess.Popen([BIN / name, *arguments], stdout=log, stderr=log))

    def is_ready(self):
        try:
            return self.api.call("GET", "/readyz/poststarthook/rbac/bootstrap-roles")[0] == 200
        except OSError:
            return False

    def writes(self):
        """What the API server has counted, without Leases and what the faker writes (status)."""
        pattern = re.compile(r'apiserver_request_total{(.*)} (\S+)$', re.M)
        labelled = ((dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value)) for labels, value in pattern.findall(self.api.text("/metrics")))
        return sum(value for labels, value in labelled
                   if labels["verb"] in ("POST", "PUT", "PATCH", "APPLY", "DELETE") and labels["resource"] != "leases")

    def stop(self):
        """However this process ends, but for a kill: it is called again then, and finds nothing to do."""
        while self.processes:
            process = self.processes.pop()
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


NOW = "2026-01-01T00:00:00Z"
JOB = {"startTime": NOW, "completionTime": NOW, "succeeded": 1, "uncountedTerminatedPods": {},
       "conditions": [{"type": kind, "status": "True", "lastTransitionTime": NOW, "lastProbeTime": NOW, "reason": "CompletionsReached"}
                      for kind in ("SuccessCriteriaMet", "Complete")]}


def status_of(kind, resource):
    """The status that its controller would give it, if all went well and at once; None if it has that already."""
    status = resource.get("status", {})
    if kind == "jobs":
        return None if status.get("conditions") else JOB
    generation, replicas = resource["metadata"]["generation"], resource["spec"].get("replicas", 1)
    wanted = {"observedGeneration": generation, "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas}
    return None if all(status.get(key) == value for key, value in wanted.items()) else wanted


class Faker:
    WORKERS = 4

    def __init__(self, api):
        self.api, self.due = api, queue.Queue()
        for path in ("/apis/apps/v1/deployments", "/apis/apps/v1/statefulsets", "/apis/batch/v1/jobs"):
            api.watch(path, lambda event, path=path: self.take(path, event))
        for _ in range(self.WORKERS):
            threading.Thread(target=self.work, daemon=True).start()

    def take(self, path, event):
        kind = path.rsplit("/", 1)[1]
        metadata = event["object"]["metadata"]
        if event["type"] in ("ADDED", "MODIFIED") and (status := status_of(kind, event["object"])):
            group = path.rsplit("/", 1)[0]
            self.due.put((f"{group}/namespaces/{metadata['namespace']}/{kind}/{metadata['name']}/status", status))

    def work(self):
        while True:
            path, status = self.due.get()
            try:
                self.api.call("PATCH", path, {"status": status}, "application/merge-patch+json")
            except OSError:
                pass # the API server is gone, and this thread soon


class Ready:
    """When each stack got Ready, as a watch shows it."""

    def __init__(self, api):
        self.at = {}
        api.watch(f"{STACKS}/healthcarestacks", self.take)

    def take(self, event):
        resource = event["object"]
        key = (resource["metadata"].get("namespace"), resource["metadata"].get("name"))
        conditions = resource.get("status", {}).get("conditions", [])
        if event["type"] != "DELETED" and any(it["type"] == "Ready" and it["status"] == "True" for it in conditions):
            self.at.setdefault(key, time.monotonic())


def converge(control, stacks, seconds):
    """One run with so many stacks, from nothing, and so many seconds of rest."""
    api, log = control.api, CACHE / "bench-operator.log"
    namespaces = [f"clinics-{number}" for number in range(NAMESPACES)]
    for namespace in namespaces:
        api.must("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    Faker(api)
    ready = Ready(api)
    operator = Operator(control.kubeconfig, log, "--all-namespaces", "--log-level=warn")
    empty_mb = operator.memory_mb()
    begun, applied = time.monotonic(), {}
    for index in range(stacks):
        namespace, name = namespaces[index % NAMESPACES], f"clinic-{index}"
        api.must("POST", f"{STACKS}/namespaces/{namespace}/healthcarestacks", stack(name, namespace))
        applied[namespace, name] = time.monotonic()
    wait(f"{stacks} ready stacks", 60 + 3 * stacks, lambda: len(ready.at) >= stacks, 0.2)
    converged = time.monotonic() - begun
    cpu, requests, first = operator.cpu_seconds(), operator.metric("api_requests_total"), operator.reconciles()
    found = {"stacks": stacks, "converged_s": converged, "ready_p50_s": quantile([ready.at[key] - at for key, at in applied.items()], 0.5),
             "empty_mb": empty_mb, "converging_mb": operator.memory_mb("VmHWM"), "converging_cpu_s": cpu, "requests_per_stack": requests / stacks,
             "reconciles_per_stack": first[float("inf")] / stacks,
             **times(operator, "changed"), **times(operator, "unchanged")}
    found |= rest(control, operator, seconds)
    found |= restart(control, operator, stacks, log)
    return found


def times(operator, outcome):
    counts = operator.reconciles(outcome)
    return {f"{outcome}_p50_ms": of_histogram({}, counts, 0.5), f"{outcome}_p99_ms": of_histogram({}, counts, 0.99)}


def rest(control, operator, seconds):
    time.sleep(10)
    before, writes, cpu = operator.by_label("api_requests_total"), control.writes(), operator.cpu_seconds()
    time.sleep(seconds)
    after = operator.by_label("api_requests_total")
    return {"rest_s": seconds, "rest_requests": {verb: count - before.get(verb, 0) for verb, count in after.items() if count > before.get(verb, 0)},
            "rest_writes_beside_leases": control.writes() - writes, "rest_cpu_percent": 100 * (operator.cpu_seconds() - cpu) / seconds,
            "rest_mb": operator.memory_mb()}


def restart(control, operator, stacks, log):
    """Stops it and starts another; that one is done when it has looked at every stack and none waits."""
    stopped = operator.stop()
    writes, begun = control.writes(), time.monotonic()
    operator = Operator(control.kubeconfig, log, "--all-namespaces", "--log-level=warn")
    wait("every stack looked at", 300, lambda: operator.reconciles()[float("inf")] >= stacks and operator.metric("queue_depth") == 0, 0.1)
    took = time.monotonic() - begun
    found = {"stopped_s": stopped, "restart_s": took, "restart_listed_s": operator.ready_after, "restart_cpu_s": operator.cpu_seconds(),
             "restart_mb": operator.memory_mb("VmHWM"), "restart_writes": control.writes() - writes,
             **{f"restart_{name}": value for name, value in times(operator, "unchanged").items()}}
    operator.stop()
    return found


def measure():
    runs = []
    sizes, rests = (list(map(int, os.environ.get(*it).split())) for it in (("STACKS", "100 300 1000"), ("REST", "60")))
    for stacks, seconds in itertools.zip_longest(sizes, rests[:len(sizes)], fillvalue=rests[-1]):
        say(f"{stacks} stacks on an API server alone")
        control = Control()
        try:
            runs.append(converge(control, stacks, seconds))
        finally:
            control.stop()
        say(json.dumps(runs[-1]))
    return {"runs": runs}
