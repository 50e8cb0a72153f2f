"""Memory: what is resident just after the start, with ten thousand idle connections, and after those have gone."""
import time
import tokens
from idle import opened, still_open
from machine import number, say
from part_a import ALL
from proxies import ours
from scene import Scene

# For what is put off: a collector's, an allocator's and a worker's rest.
SETTLE_SECONDS = 2


def measure():
    count = number("IDLE", 10_000)
    with Scene() as scene:
        ours.algorithms(scene.folder, scene.backends)
        return {"count": count, "rows": [of_one(scene, proxy, count) for proxy in ALL]}


def of_one(scene, module, count):
    with module.start("b", scene.folder, scene.backends) as proxy:
        time.sleep(SETTLE_SECONDS)
        empty = proxy.memory_mb()
        connections = opened(proxy, count, proxy.token or tokens.one("EdDSA"))
        time.sleep(SETTLE_SECONDS)
        full, kept = proxy.memory_mb(), still_open(connections)
        if kept < count:
            raise SystemExit(f"{module.NAME} has closed {count - kept} of {count} connections")
        for one in connections:
            one.close()
        time.sleep(SETTLE_SECONDS)
        found = {"name": module.NAME, "empty_mb": empty, "full_mb": full, "after_mb": proxy.memory_mb(), "each_kb": (full - empty) * 1024 / count}
    say(f"{module.NAME}: {empty:.1f} MB, with {count} connections {full:.1f} MB")
    return found
