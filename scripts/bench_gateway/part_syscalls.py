"""What ours and nginx ask of the kernel for a request (strace), and where their time goes (perf, where it works)."""
import re, signal, subprocess, time
import tokens
from load import drop_log, script, wrk
from machine import PROGRAM, say
from proxies import nginx, ours
from scene import Scene

SECONDS = 3
KERNEL = "[kernel.kallsyms]"
IN_KERNEL, OWN = 12, 25


def measure():
    found = {"rows": []}
    with Scene() as scene:
        ours.algorithms(scene.folder, scene.backends)
        for work in ("a", "b"):
            for module in (ours, nginx):
                running = scene.start(module, work)
                load = wrk(script(token=running.token or tokens.one("EdDSA") if work == "b" else None))
                load(running, 1)
                row = {"name": f"{module.NAME}, work {work.upper()}", "calls": counted(running, load), "profile": profile(running, load)}
                found["rows"].append(row)
                drop_log(running)
                running.end()
    return found


def counted(proxy, load):
    """Calls by name, for each request. Traced, a program is several times slower, and finds more to do each time that it looks."""
    table = proxy.folder / "strace"
    pids = [argument for pid in proxy.pids() for argument in ("-p", str(pid))]
    with open(proxy.folder / "strace-says", "wb") as says:
        tracer = subprocess.Popen(["strace", "-c", "-f", "-o", table, *pids], stdout=says, stderr=says)
    try:
        time.sleep(1)
        requests = load(proxy, SECONDS)["requests"]
    finally:
        tracer.send_signal(signal.SIGINT)
        try:
            tracer.wait(10)
        except subprocess.TimeoutExpired:
            tracer.kill()
    calls = {}
    for line in table.read_text().splitlines():
        # % time, seconds, usecs/call, calls, perhaps errors, and the name.
        if (fields := line.split()) and re.fullmatch(r"[\d.]+", fields[0]) and fields[-1] != "total":
            calls[fields[-1]] = int(fields[3]) / requests
    say(f"{proxy.name}: {sum(calls.values()):.1f} calls a request")
    return dict(sorted(calls.items(), key=lambda call: -call[1]))


def profile(proxy, load):
    """Microseconds a request by object and by function; `None` where perf does not work."""
    data = proxy.folder / "perf.data"
    pids = ",".join(map(str, proxy.pids()))
    # By the clock: processors of virtual machines often count nothing else.
    recorder = subprocess.Popen(["perf", "record", "--event", "cpu-clock", "--freq", "2999", "--pid", pids, "--output", data],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        if recorder.poll() is not None:
            return None
        cost = load(proxy, SECONDS)["cpu_us"]
    finally:
        recorder.send_signal(signal.SIGINT)
        recorder.wait(30)
    functions = shares(data, "dso,symbol", cost)
    return {"objects": {"kernel" if name == KERNEL else name: us for (name,), us in shares(data, "dso", cost)},
            "kernel": [[name, us] for (where, name), us in functions if where == KERNEL][:IN_KERNEL],
            "own": [[f"{name} ({where})" if where != PROGRAM.name else name, us] for (where, name), us in functions if where != KERNEL][:OWN]}


def shares(data, by, cost):
    """Names, and microseconds of a request that costs so many."""
    command = ["perf", "report", "--stdio", "--input", data, "--sort", by, "--percent-limit", "0.3", "--field-separator", "\t"]
    found = []
    for line in subprocess.run(command, capture_output=True, text=True).stdout.splitlines():
        percent, *names = [field.strip() for field in line.split("\t")]
        if names and re.fullmatch(r"[\d.]+%", percent):
            found.append(([tidy(name) for name in names[:by.count(",") + 1]], float(percent[:-1]) / 100 * cost))
    return found


def tidy(name):
    """A function's name without the mark of where it ran, and without what the compiler adds."""
    return re.sub(r"\.llvm\.\d+|::h[0-9a-f]{16}", "", re.sub(r"^\[[.k]\] ", "", name))
