"""Work A: a plain proxy. A public route, no limits, no access log."""
from load import script
from proxies import envoy, haproxy, nginx, ours, traefik
from rounds import Turn, play
from scene import Scene

ALL = (ours, nginx, haproxy, envoy, traefik)


def measure():
    with Scene() as scene:
        versions = {proxy.NAME: proxy.version() for proxy in ALL}
        return {"versions": versions, "rows": play([Turn(proxy.NAME, scene.start(proxy, "a"), script()) for proxy in ALL])}
