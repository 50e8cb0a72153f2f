"""How the cost of work B grows: with routes, endpoints, distinct tokens and cores."""
import os, time
import tokens
from load import drop_log, script, wrk
from machine import LOAD_CORE, PROXY_CORE, ROUNDS, say
from proxies import nginx, ours
from rounds import Turn, play
from scene import Scene

ROUTES, ENDPOINTS = (10, 100, 1000), (2, 20, 200)
TOKENS = [int(count) for count in os.environ.get("TOKENS", "1000 10000 100000 1000000").split()]
ALL_SECONDS_MAX = 300


def measure():
    with Scene() as scene:
        ours.algorithms(scene.folder, scene.backends)
        return {"routes": ended([turn(scene, ours, f"{count:,} routes", routes=count) for count in ROUTES]), "endpoints": endpoints(scene),
                "tokens": distinct_tokens(scene), "cores": cores(scene)}


def turn(scene, module, name, **more):
    running = scene.start(module, "b", **more)
    return Turn(name, running, wrk(script(token=running.token or tokens.one("EdDSA"))), running.token)


def endpoints(scene):
    """Beside nginx, since as many more connections cost everybody something."""
    turns = [turn(scene, ours, f"{count} endpoints", endpoints=count) for count in ENDPOINTS]
    return ended(turns) + ended([turn(scene, nginx, f"nginx, {count} endpoints", endpoints=count) for count in (ENDPOINTS[0], ENDPOINTS[-1])])


def distinct_tokens(scene):
    turns = []
    for count in TOKENS:
        say(f"{count} tokens")
        running = scene.start(ours, "b", algorithm="EdDSA")
        file = tokens.several("EdDSA", count)
        meet_all(running, file, count)
        turns.append(Turn(f"{count:,} tokens", running, wrk(script(tokens=file)), running.token))
    return ended(turns)


def meet_all(proxy, file, count):
    """Each once, so that what is measured is a gateway that has met them all."""
    met, line, until = 0, file.stat().st_size // count, time.monotonic() + ALL_SECONDS_MAX
    while met < count:
        # What was asked last may not have been answered: some twice rather than never.
        met += wrk(script(tokens=file, skip=met * line))(proxy, 10 if count > 100_000 else 1)["requests"]
        drop_log(proxy)
        if time.monotonic() > until:
            raise SystemExit(f"the gateway has met {met} of {count} tokens in {ALL_SECONDS_MAX} s")


def cores(scene):
    """On both, beside the load and the backends, which want most of the second."""
    pinned = (([PROXY_CORE], "1 core"), ([PROXY_CORE, LOAD_CORE], "2 cores"))
    return [row for module in (ours, nginx) for row in ended([turn(scene, module, f"{module.NAME}, {name}", cores=some) for some, name in pinned])]


def ended(turns):
    rows = play(turns, max(1, min(ROUNDS, 3)))
    for turn in turns:
        turn.proxy.end()
    return rows
