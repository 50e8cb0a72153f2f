"""HTTP/2 over TLS 1.3 in front of work A, with the same certificate: one request at a time on a connection, and ten."""
import tokens
from load import CONNECTIONS, h2load
from proxies import nginx, ours
from rounds import Turn, play
from scene import Scene

STREAMS = 10


def measure():
    certificate = tokens.certificate()
    with Scene() as scene:
        running = [scene.start(proxy, "a", tls=certificate) for proxy in (ours, nginx)]
        one = play([Turn(proxy.name, proxy, h2load(CONNECTIONS, 1)) for proxy in running])
        many = play([Turn(f"{proxy.name}, {STREAMS} at a time", proxy, h2load(CONNECTIONS // STREAMS, STREAMS)) for proxy in running])
        return {"rows": one + many, "connections": CONNECTIONS, "streams": STREAMS}
