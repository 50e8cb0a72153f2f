"""Where things are, what this machine is, and what was found on it."""
import json, os, pathlib, platform, re, resource, shutil, signal, statistics, subprocess, sys, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "healthcare-stack"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or CACHE / "target")
PROGRAM = pathlib.Path(os.environ.get("PROGRAM") or TARGET / "release/gateway")
FOLDER = CACHE / "bench-gateway"
VENV = FOLDER / "venv"
RESULTS = FOLDER / "results.json"
PAGE = ROOT / "docs/benchmarks/gateway.md"

# The proxy has the first processor to itself; the load and what it is forwarded to share the second.
PROXY_CORE, LOAD_CORE = 0, 1
# Ten thousand connections in, and some out.
FILES_MIN = 12_000


def number(name, default):
    return int(os.environ.get(name, default))


ROUNDS, SECONDS = number("ROUNDS", 5), number("SECONDS_EACH", 8)


def say(text):
    print(f"bench-gateway: {text}", flush=True)


def program(name):
    """A daemon's program, which the path of an ordinary user may not lead to."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    return found or sys.exit(f"{name} is missing: scripts/prepare bench-gateway installs it")


def make_ready():
    """Files enough, and a signal ends this as an error does: with everything that it started."""
    if os.cpu_count() < 2 or not PROGRAM.exists():
        sys.exit(f"it takes two processors, and {PROGRAM} (cargo build --release --package gateway)")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < FILES_MIN:
        sys.exit(f"it takes {FILES_MIN} open files, and the limit is {most} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for one in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, lambda number, _: sys.exit(f"bench-gateway: ended by {signal.Signals(number).name}"))


def spread(values):
    """None where every round was void."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)} if values else None


def described():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return f"{os.cpu_count()} × {cpu[1] if cpu else platform.machine()}, Linux {platform.release()}, commit {commit}"


def save(part, found):
    """Parts may run on different days; the page has the latest of each."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    # Of the last minutes: two of it are ours, and what is above them took its share of both cores.
    at = f"{time.strftime('%Y-%m-%d %H:%M')}, load average {os.getloadavg()[1]:.0f}, {described()}"
    known[part] = {"at": at, "rounds": ROUNDS, "seconds": SECONDS, **found}
    RESULTS.write_text(json.dumps(known, indent=1))
