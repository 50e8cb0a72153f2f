"""Load by wrk and h2load, and whether the answers under it were right."""
import http.client, re, ssl, subprocess
from backend import BODY, BODY_BYTES, PATH
from machine import LOAD_CORE, SECONDS
from processes import pinned

CONNECTIONS = 50

DONE = """
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %f %f %d %d\\n", summary.requests, summary.duration, summary.bytes,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, e.status, e.connect + e.read + e.write + e.timeout))
end
"""
# One token after the other, read as they are needed: never so many in memory. At the end it begins again.
EACH_TOKEN = """
local file = io.open("%s")
file:seek("set", %d)
function request()
  local token = file:read("*l")
  if not token then file:seek("set"); token = file:read("*l") end
  return "GET %s HTTP/1.1\\r\\nHost: localhost\\r\\nAuthorization: Bearer " .. token .. "\\r\\n\\r\\n"
end
"""


def script(token=None, tokens=None, skip=0, close=False):
    """What to ask: nothing special, with one token, with one after the other of a file (but so many bytes), or on a new connection each time."""
    if tokens:
        return EACH_TOKEN % (tokens, skip, PATH)
    return (f'wrk.headers["Authorization"] = "Bearer {token}"\n' if token else "") + ('wrk.headers["Connection"] = "close"\n' if close else "")


def wrk(lua, connections=CONNECTIONS):
    """Asks over HTTP/1.1, as the script says."""
    def ask_for(proxy, seconds):
        path = proxy.folder / "load.lua"
        path.write_text(lua + DONE)
        out, used = cost(proxy, seconds, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", path, url(proxy))
        found = re.search(r"RESULT (\d+) (\d+) (\d+) ([\d.]+) ([\d.]+) (\d+) (\d+)", out)
        requests, took = int(found[1]), int(found[2]) / 1e6
        return told(used, requests, took, float(found[4]), float(found[5]), fault(requests, int(found[3]), int(found[6]), int(found[7])))
    return ask_for


def h2load(connections, streams):
    """Asks over HTTP/2, with so many requests at a time on each connection."""
    def ask_for(proxy, seconds):
        # A line for each request: when it began, its status, and how long it took, in microseconds. h2load writes at the end of what is there.
        log = proxy.folder / "load.log"
        log.unlink(missing_ok=True)
        out, used = cost(proxy, seconds, "h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds}", f"--log-file={log}", url(proxy))
        lines = [line.split("\t") for line in log.read_text().splitlines()]
        times = sorted(int(line[2]) for line in lines if len(line) == 3)
        requests = len(times)
        refused = sum(line[1] != "200" for line in lines)
        bytes = int(re.search(r"traffic: .*\((\d+)\) total.*\((\d+)\) data", out)[2])
        at = lambda share: times[min(int(requests * share), requests - 1)] / 1000 if times else 0.0
        # What was under way at the end is told as broken, and is not.
        return told(used, requests, seconds, at(0.5), at(0.99), fault(requests, bytes + requests, refused, 0))
    return ask_for


def url(proxy):
    return f"{'https' if proxy.tls else 'http'}://127.0.0.1:{proxy.port}{PATH}"


def cost(proxy, seconds, *command):
    """What the program says, and the user and system seconds that the proxy took meanwhile."""
    before = proxy.cpu()
    out = subprocess.run(pinned([LOAD_CORE], *command), capture_output=True, text=True, check=True, timeout=seconds + 60).stdout
    return out, [after - before for after, before in zip(proxy.cpu(), before)]


def told(used, requests, took, p50_ms, p99_ms, void):
    (user, system), per_request = used, 1e6 / max(requests, 1)
    return {"requests": requests, "rate": requests / took, "p50_ms": p50_ms, "p99_ms": p99_ms,
            "cpu_us": (user + system) * per_request, "user_us": user * per_request, "system_us": system * per_request,
            "busy": (user + system) / took, "void": void}


def fault(requests, bytes, refused, broken):
    """Why what was measured is worth nothing, if it is not."""
    if refused or broken or not requests:
        return f"{refused} of {requests} answers were not 200, {broken} connections broke"
    return None if bytes / requests > BODY_BYTES else f"{bytes / requests:.0f} bytes an answer"


def ask(proxy, token=None):
    """One request, by hand: status and body."""
    if proxy.tls:
        trusted = ssl.create_default_context(cafile=proxy.tls.chain)
        trusted.minimum_version = ssl.TLSVersion.TLSv1_3
        connection = http.client.HTTPSConnection("localhost", proxy.port, timeout=10, context=trusted)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    try:
        connection.request("GET", PATH, headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def check(proxy, token=None):
    """Why the proxy does not answer as it should, if it does not."""
    try:
        status, body = ask(proxy, token)
    except (OSError, http.client.HTTPException) as error:
        return f"{proxy.name} does not answer: {error}"
    return None if (status, body) == (200, BODY) else f"{proxy.name} answers {status}: {body[:200]}"


def drop_log(proxy):
    """How many lines were logged; then the log begins anew, so that it fills no disk. The writers append."""
    if not proxy.access_log:
        return 0
    with open(proxy.access_log, "r+b") as log:
        lines = sum(chunk.count(b"\n") for chunk in iter(lambda: log.read(1 << 20), b""))
        log.truncate(0)
    return lines
