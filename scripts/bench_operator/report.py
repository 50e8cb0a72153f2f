"""docs/benchmarks/operator.md from the figures of the latest run of each part."""
import json, os, pathlib, platform, re, subprocess
from figures import RESULTS, ROOT

METHOD = """# The operator, measured

`make bench-operator` writes this page (about half an hour; `ROUNDS=2 EDITS=20 STACKS=100 KWOK_STACKS=20 REST=20` for a few minutes,
`PARTS=scale` for one part). The operator is the binary of the `image-test` profile (less optimised than a release), and runs beside the
cluster as a process of this machine: its memory is `VmRSS` (peaks: `VmHWM`) and its processor time user + system, both from `/proc`.
Requests and reconciles are what it counts itself, at `/metrics`; writes at rest are what the API server has counted, of everybody, Leases
left out. Quantiles of reconciles are linear within the histogram's buckets.

Everything shares the machine: kubelet, API server, etcd, PostgreSQL and all pods compete for its processors. The load average beside each date
tells how much: of two processors, anything much above 4 means that other work (builds, other clusters) took its share too.
"""


def machine():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) / 1024 / 1024
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return f"{os.cpu_count()} × {cpu[1] if cpu else platform.machine()}, {memory:.0f} GiB, Linux {platform.release()}, commit {commit}"


def table(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *("| " + " | ".join(map(str, row)) + " |" for row in rows)]) + "\n"


def ms(value):
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def real(found):
    start = found["start"]
    steps = [("service pods made", "the operator and Kubernetes' controllers; they wait for the database"),
             ("database pod ready", "Kubernetes (volume, pod) and PostgreSQL (initdb)"), ("setup pod ended", "PostgreSQL: roles and schemas"),
             ("migration pods ended", "the services' migrations"), ("migration Jobs complete", "Kubernetes: a Job learns that its pods have ended"),
             ("service and gateway pods ready", "Kubernetes (probes) and the services"), ("Ready", "Kubernetes (Deployments) and the operator")]
    at, rows = 0.0, []
    for mark, whose in steps:
        value = start[mark]
        rows.append((mark, f"{value['median']:.1f} s ({value['min']:.1f}–{value['max']:.1f})", f"+{value['median'] - at:.1f} s", whose))
        at = value["median"]
    own, ready = found["own_s"], start["Ready"]
    text = f"## One stack: apply to Ready ({found['at']})\n\nImages present, {ready['count']} rounds, seven services and the gateway; medians with range. "
    text += "Pods' and Jobs' own times have whole seconds.\n\n" + table(("", "after apply", "step", "whose time"), rows)
    text += f"\nOf the {ready['median']:.1f} s the operator spent {own['median']:.1f} s in reconciles, its requests to the API server included.\n"
    drift, live = found["drift"], found["live"]
    rows = [(name, drift[name]["count"], ms(drift[name]["p50_ms"]), ms(drift[name]["p99_ms"]), ms(drift[name]["max_ms"]))
            for name in ("edit", "deletion", "both") if name in drift]
    rows.append(("edit of the spec → live at the gateway", live["count"], ms(live["p50_ms"]), ms(live["p99_ms"]), ms(live["max_ms"])))
    text += "\n## Drift, and an edit until it is live\n\nRandom edits and deletions of Services, ConfigMaps, ServiceAccounts, Deployments (edited only), "
    text += "NetworkPolicies, Roles and RoleBindings, until the object is as it was; a route's limit in the spec, until the gateway answers by it.\n\n"
    return text + table(("", "count", "p50", "p99", "max"), rows) + f"\nThe operator's peak memory in all of this: {found['memory_mb']:.0f} MB.\n"


def kwok(found):
    rows = [("stacks, simulated nodes", f"{found['stacks']}, {found['nodes']}"), ("all Ready after", f"{found['converged_s']:.0f} s"),
            ("apply → Ready, p50", f"{found['ready_p50_s']:.0f} s"), ("operator: processor time", f"{found['cpu_s']:.1f} s"),
            ("operator: peak memory", f"{found['memory_mb']:.0f} MB"), ("requests, reconciles per stack", f"{found['requests_per_stack']:.0f}, {found['reconciles_per_stack']:.0f}"),
            ("one reconcile, p50 / p99", f"{ms(found['reconcile_p50_ms'])} / {ms(found['reconcile_p99_ms'])}"), ("drift repaired (nobody drifted)", f"{found['repairs']:.0f}")]
    return f"## Simulated nodes and pods ({found['at']})\n\nkwok plays nodes and pods; scheduler and controllers are Kubernetes' own.\n\n" + table(("", ""), rows)


def scale(found):
    runs = found["runs"]
    column = lambda name, form: [form.format(run[name]) if not callable(form) else form(run[name]) for run in runs]
    requests = lambda counts: ", ".join(f"{count:.0f} {verb}" for verb, count in sorted(counts.items())) or "none"
    pair = lambda one, two: [f"{ms(run[one])} / {ms(run[two])}" for run in runs]
    rows = [("all Ready after", *column("converged_s", "{:.0f} s")), ("processor time until then", *column("converging_cpu_s", "{:.0f} s")),
            ("memory: no stacks", *column("empty_mb", "{:.0f} MB")), ("memory: peak while they come up", *column("converging_mb", "{:.0f} MB")),
            ("memory: at rest", *column("rest_mb", "{:.0f} MB")), ("requests per stack until Ready", *column("requests_per_stack", "{:.0f}")),
            ("reconciles per stack until Ready", *column("reconciles_per_stack", "{:.1f}")), ("one reconcile then that wrote, p50 / p99", *pair("changed_p50_ms", "changed_p99_ms")),
            ("one that found nothing to write, p50 / p99", *pair("unchanged_p50_ms", "unchanged_p99_ms")),
            ("at rest for", *column("rest_s", "{} s")), ("requests of the operator then", *column("rest_requests", requests)),
            ("writes of anybody then, beside Leases", *column("rest_writes_beside_leases", "{:.0f}")), ("processor then", *column("rest_cpu_percent", "{:.2f} %")),
            ("graceful stop", *column("stopped_s", "{:.2f} s")), ("restart: every stack looked at after", *column("restart_s", "{:.1f} s")),
            ("restart: writes", *column("restart_writes", "{:.0f}")), ("restart: peak memory", *column("restart_mb", "{:.0f} MB")),
            ("restart: processor time", *column("restart_cpu_s", "{:.1f} s")),
            ("restart: one reconcile, p50 / p99", *pair("restart_unchanged_p50_ms", "restart_unchanged_p99_ms"))]
    text = f"## How cost grows ({found['at']})\n\nAn etcd and an API server alone; a faker answers Deployments, StatefulSets and Jobs with the status of success at once. "
    text += "Stacks are made as fast as the API server takes them, about sixty objects each. PUTs at rest are the Lease's.\n\n"
    return text + table(("", *(f"{run['stacks']} stacks" for run in runs)), rows)


def write():
    found = json.loads(RESULTS.read_text())
    parts = [METHOD, f"Machine: {machine()}.\n"] + [form(found[name]) for name, form in (("real", real), ("kwok", kwok), ("scale", scale)) if name in found]
    (ROOT / "docs/benchmarks/operator.md").write_text("\n".join(parts))
