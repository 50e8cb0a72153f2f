"""Work A: a plain proxy. A public route, no limits, no access log."""
from load import script, wrk
from proxies import envoy, floor, haproxy, nginx, ours, traefik
from rounds import Turn, play
from scene import Scene

ALL = (ours, nginx, haproxy, envoy, traefik)


def measure():
    with Scene() as scene:
        those = (*ALL, floor)
        versions = {proxy.NAME: proxy.version() for proxy in those}
        return {"versions": versions, "rows": play([Turn(proxy.NAME, scene.start(proxy, "a"), wrk(script())) for proxy in those])}
