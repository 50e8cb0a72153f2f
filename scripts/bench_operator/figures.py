"""What the parts of the benchmark share: where things are, numbers, and the operator as a process that is measured."""
import atexit, json, math, os, pathlib, re, signal, socket, statistics, subprocess, time, urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "healthcare-stack"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or CACHE / "target")
BIN = CACHE / "cluster/bin"
RESULTS = CACHE / "bench-operator.json"
PROGRAM = os.environ.get("PROGRAM") or next(TARGET.glob("*-linux-gnu/image-test/healthcare-operator"), "")
REGISTRY = "docker.io/healthcare-test"
VERSION = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
TICK = os.sysconf("SC_CLK_TCK")


def number(name, default):
    return int(os.environ.get(name, default))


def save(part, figures):
    """Parts may run on different days; the report has the latest of each."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    # Of the last minutes, which are those of the measurement: how busy the machine was with all of it, and with what else it did.
    load = round(os.getloadavg()[1])
    known[part] = {"at": f"{time.strftime('%Y-%m-%d %H:%M')}, load average {load}", **figures}
    RESULTS.write_text(json.dumps(known, indent=1))


def say(text):
    print(f"bench-operator: {text}", flush=True)


def quantile(values, share):
    """The smallest value that `share` of all are not above."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "count": len(values)}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait(what, seconds, look, every=0.1):
    """The first true answer of `look`."""
    end = time.monotonic() + seconds
    while True:
        if answer := look():
            return answer
        if time.monotonic() > end:
            raise SystemExit(f"{what} did not come about within {seconds} s")
        time.sleep(every)


def stack(name, namespace):
    """As small as it can be, with images that the cluster has; everything else by default."""
    spec = {"version": VERSION, "image": {"registry": REGISTRY},
            "database": {"managed": {"version": 15, "image": f"{REGISTRY}/postgres:15", "storage": {"size": "1Gi"}}}}
    return {"apiVersion": "healthcarestack.dev/v1alpha1", "kind": "HealthcareStack",
            "metadata": {"name": name, "namespace": namespace}, "spec": spec}


class Operator:
    """The operator, as a process of ours."""

    def __init__(self, kubeconfig, log, *arguments):
        self.port = free_port()
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            [PROGRAM, "run", f"--metrics-listen=127.0.0.1:{self.port}", "--lease-namespace=default", *arguments],
            env={**os.environ, "KUBECONFIG": str(kubeconfig)}, stdout=open(log, "ab"), stderr=subprocess.STDOUT)
        atexit.register(self.process.kill)
        wait("a ready operator", 60, lambda: self.get("/readyz")[0] == 200 and self.metric("leads") == 1, 0.02)
        self.ready_after = time.monotonic() - self.begun

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""
        except OSError:
            assert self.process.poll() is None, "the operator has ended: see its log"
            return 0, ""

    def lines(self):
        return [line.rsplit(" ", 1) for line in self.get("/metrics")[1].splitlines() if not line.startswith("#")]

    def metric(self, name):
        """The sum over all labels."""
        name = f"healthcare_{name}"
        return sum(float(value) for key, value in self.lines() if key.split("{")[0] == name)

    def by_label(self, name):
        """By the last of its labels, which is its own."""
        pattern = re.compile(rf'healthcare_{name}{{.*="([^"]*)"}}')
        return {match[1]: float(value) for key, value in self.lines() if (match := pattern.fullmatch(key))}

    def reconciles(self, outcome=".*"):
        """Cumulative counts, by upper bound in seconds: of all reconciles, or of those that came to this."""
        pattern, counts = re.compile(rf'healthcare_reconcile_seconds_bucket{{.*outcome="{outcome}".*}}'), {}
        for key, value in self.lines():
            if pattern.fullmatch(key):
                bound = float(re.search(r'le="([^"]*)"', key)[1])
                counts[bound] = counts.get(bound, 0) + float(value)
        return counts or {float("inf"): 0.0}

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory_mb(self, which="VmRSS"):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{which}:\s+(\d+) kB", status)[1]) / 1024

    def stop(self):
        """Asks it to stop; gives the seconds that takes."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return time.monotonic() - begun


def of_histogram(before, after, share):
    """A quantile in milliseconds, linear within its bucket, as PromQL's histogram_quantile."""
    counts = [(bound, after[bound] - before.get(bound, 0)) for bound in sorted(after)]
    rank, lower, below = share * counts[-1][1], 0.0, 0.0
    for bound, count in counts:
        if count >= rank and count > below:
            return 1000 * (lower if math.isinf(bound) else lower + (bound - lower) * (rank - below) / (count - below))
        lower, below = bound, count
    return 0.0
