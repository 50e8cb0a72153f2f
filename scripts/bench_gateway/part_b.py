"""Work B: everything on. Each verifies tokens if it can; ours also ones that it has never seen."""
import tokens
from load import ask, script, wrk
from machine import say
from part_a import ALL
from proxies import ours
from rounds import Turn, play
from scene import Scene

# Far more than the gateway remembers, so that each is forgotten before its turn comes again.
UNSEEN = 40_000


def measure():
    with Scene() as scene:
        taken = ours.algorithms(scene.folder, scene.backends)
        turns = []
        for proxy in ALL:
            running = scene.start(proxy, "b")
            refuses_strangers(running)
            turns.append(Turn(proxy.NAME, running, wrk(script(token=running.token or tokens.one(taken[0]))), running.token))
        for algorithm in taken:
            say(f"{UNSEEN} tokens, {algorithm}")
            running = scene.start(ours, "b", algorithm=algorithm)
            turns.append(Turn(f"ours, unseen {algorithm}", running, wrk(script(tokens=tokens.several(algorithm, UNSEEN))), running.token))
        return {"rows": play(turns), "algorithm": taken[0], "refused": [one for one in tokens.ALGORITHMS if one not in taken]}


def refuses_strangers(proxy):
    """One that verifies tokens verifies them: without, and with a forged signature, nobody passes."""
    if not proxy.token:
        return
    head, payload, signature = proxy.token.split(".")
    forged = f"{head}.{payload}.{'A' * 20}{signature[20:]}"
    for token in (None, forged):
        status, _ = ask(proxy, token)
        if status not in (401, 403):
            raise SystemExit(f"{proxy.name} answers {status} to a token that is none")
