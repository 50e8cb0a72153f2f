"""TLS 1.3 in front of work A, with the same certificate: on connections that stay, and on a new one for each request."""
import socket, ssl
import tokens
from load import script, wrk
from proxies import nginx, ours
from rounds import Turn, play
from scene import Scene


def measure():
    certificate = tokens.certificate()
    with Scene() as scene:
        running = [scene.start(proxy, "a", tls=certificate) for proxy in (ours, nginx)]
        kept = play([Turn(proxy.name, proxy, wrk(script())) for proxy in running])
        new = play([Turn(f"{proxy.name}, a handshake each", proxy, wrk(script(close=True))) for proxy in running])
        return {"rows": kept + new, "versions": {proxy.name: negotiated(proxy) for proxy in running}}


def negotiated(proxy):
    """Version and cipher that a client of today gets."""
    context = ssl.create_default_context(cafile=proxy.tls.chain)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with context.wrap_socket(socket.create_connection(("127.0.0.1", proxy.port)), server_hostname="localhost") as stream:
        return f"{stream.version()}, {stream.cipher()[0]}, ALPN {stream.selected_alpn_protocol() or 'none'}"
