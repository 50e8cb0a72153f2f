"""The gateway: `gateway --config FILE --jwks FILE`, as docs/processes.md shows it."""
import json
import tokens
from load import ask
from machine import PROGRAM, PROXY_CORE
from processes import free_port
from proxies import NEVER, ROUTE_SECONDS, Proxy, place, version_of

NAME = "ours"


def config(work, endpoints, routes):
    limit = {"requestsPerSecond": NEVER, "burst": NEVER}
    everything = work == "b"
    terms = {"access": {"permissions": [tokens.SCOPE]}, "circuitBreaker": {}} if everything else {"access": "public"}
    paths = ["/api/patients/{patientId}"] + [f"/api/kind{number}/{{id}}" for number in range(1, routes)]
    # The one that is asked for stands in the middle of them.
    paths.insert(routes // 2, paths.pop(0))
    return {
        "routes": [{"method": "GET", "path": path, "service": "patient-service", "timeoutMs": ROUTE_SECONDS * 1000, **terms} for path in paths],
        "upstreams": {"patient-service": {"endpoints": [f"http://{endpoint}" for endpoint in endpoints],
                                          "balancing": "PeakEwma" if everything else "RoundRobin"}},
        "auth": {"issuer": tokens.ISSUER, "audience": tokens.AUDIENCE, "service": "auth-service"},
        "rateLimits": {"perClient": limit, "perUser": limit} if everything else {},
        "bodyBytesMax": 1 << 20,
        "accessLog": everything,
        "observability": {"logLevel": "info" if everything else "warn", "logFormat": "json"},
    }


def version():
    return version_of(PROGRAM, "--version")


def start(work, folder, backends, tls=None, cores=(PROXY_CORE,), routes=10, endpoints=2, algorithm=None):
    algorithm = algorithm or algorithms(folder, backends)[0]
    return run(work, place(folder, f"ours-{work}-{free_port()}"), backends, tokens.one(algorithm), known, tls, cores, routes, endpoints)


def run(work, folder, backends, token, keys, tls=None, cores=(PROXY_CORE,), routes=10, endpoints=2):
    port = free_port()
    # JSON is YAML.
    (folder / "gateway.yaml").write_text(json.dumps(config(work, backends.endpoints(endpoints), routes), indent=1))
    (folder / "jwks.json").write_text(json.dumps({"keys": [tokens.jwk(algorithm) for algorithm in keys]}))
    command = [PROGRAM, "--config", folder / "gateway.yaml", "--jwks", folder / "jwks.json", "--listen", f"127.0.0.1:{port}"]
    if tls:
        command += ["--tls-cert", tls.chain, "--tls-key", tls.key]
    everything = work == "b"
    # The log is standard error, which is a file here.
    return Proxy(NAME, folder, port, command, folder / "output" if everything else None, token if everything else None, tls, cores)


# Whose keys may stand in the key set, and whose tokens are taken.
known, taken = (), ()


def algorithms(folder, backends):
    """The algorithms whose tokens the gateway takes: RS256 first, where it does, since that is what the others are given."""
    global known, taken
    for keys in (tokens.ALGORITHMS, ("EdDSA",)) if not taken else ():
        try:
            with run("b", place(folder, f"ours-asked-{len(keys)}"), backends, tokens.one("EdDSA"), keys) as proxy:
                known, taken = keys, tuple(one for one in keys if ask(proxy, tokens.one(one))[0] == 200)
                break
        except SystemExit:
            # It does not start with a key that it cannot read.
            continue
    if not taken:
        raise SystemExit("the gateway takes no token at all")
    return sorted(taken, key=("RS256", "EdDSA", "ES256").index)
