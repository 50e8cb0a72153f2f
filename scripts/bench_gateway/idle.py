"""Connections that were used once and then kept open."""
import selectors, socket, time
from backend import PATH


def opened(proxy, count, token=None):
    """So many of them, each with one request answered; a hundred at a time."""
    line = f"Authorization: Bearer {token}\r\n" if token else ""
    request = f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n{line}\r\n".encode()
    kept = []
    while len(kept) < count:
        kept += answered(proxy.port, request, min(100, count - len(kept)))
    return kept


def answered(port, request, count):
    waiting, some = selectors.DefaultSelector(), []
    for _ in range(count):
        # From several addresses: ours gives no one more than half of its places. From none that the services listen on: for a minute, the
        # ports of connections that have gone are not free there.
        one = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(f"127.0.1.{1 + len(some) % 8}", 0))
        one.sendall(request)
        one.setblocking(False)
        waiting.register(one, selectors.EVENT_READ, bytearray())
        some.append(one)
    until = time.monotonic() + 20
    while waiting.get_map():
        if time.monotonic() > until:
            raise SystemExit("connections stay without an answer")
        for key, _ in waiting.select(1):
            read = key.fileobj.recv(65536)
            key.data.extend(read)
            if not read or not key.data.startswith(b"HTTP/1.1 200"[:len(key.data)]):
                raise SystemExit(f"a connection was not kept, or refused: {bytes(key.data[:200])}")
            head, end, body = key.data.partition(b"\r\n\r\n")
            if end and len(body) >= length_of(head, body):
                waiting.unregister(key.fileobj)
    return some


def length_of(head, body):
    """Of a body that says its length; of one in chunks, until its last one is there."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return len(body) if body.endswith(b"0\r\n\r\n") else len(body) + 1


def still_open(connections):
    """How many the proxy has not closed meanwhile."""
    def is_open(one):
        try:
            return bool(one.recv(1))
        except BlockingIOError:
            return True
        except OSError:
            return False
    return sum(map(is_open, connections))
