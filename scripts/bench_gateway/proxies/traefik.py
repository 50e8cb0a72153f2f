"""Traefik, on as many processors as it is let. Without JWT, which the free one does not verify: its limits go as nginx's."""
import json
from machine import VENV
from processes import free_port
from proxies import NEVER, Proxy, place, version_of

NAME = "Traefik"
PROGRAM = VENV / "bin/traefik"


def version():
    return version_of(PROGRAM, "version")


def start(work, folder, backends):
    folder, port, everything = place(folder, f"traefik-{work}-{free_port()}"), free_port(), work == "b"
    log = folder / "access"
    fixed = {"entryPoints": {"front": {"address": f"127.0.0.1:{port}"}}, "providers": {"file": {"filename": str(folder / "routes.yml"), "watch": False}},
             "global": {"checkNewVersion": False, "sendAnonymousUsage": False}, "log": {"level": "ERROR"},
             "serversTransport": {"maxIdleConnsPerHost": 200}}
    router = {"rule": "PathPrefix(`/api/patients/`)", "service": "patients", "entryPoints": ["front"]}
    servers = [{"url": f"http://{endpoint}"} for endpoint in backends.endpoints()]
    routes = {"http": {"routers": {"patients": router}, "services": {"patients": {"loadBalancer": {"servers": servers}}}}}
    if everything:
        fixed["accessLog"] = {"filePath": str(log), "bufferingSize": 100}
        fixed["metrics"] = {"prometheus": {"addRoutersLabels": True, "manualRouting": True}}
        limit = {"average": NEVER, "burst": NEVER}
        router["middlewares"] = ["address", "user", "breaker"]
        routes["http"]["middlewares"] = {
            "address": {"rateLimit": limit}, "user": {"rateLimit": {**limit, "sourceCriterion": {"requestHeaderName": "Authorization"}}},
            "breaker": {"circuitBreaker": {"expression": "NetworkErrorRatio() > 0.50"}}}
    # JSON is YAML.
    (folder / "traefik.yml").write_text(json.dumps(fixed, indent=1))
    (folder / "routes.yml").write_text(json.dumps(routes, indent=1))
    return Proxy(NAME, folder, port, [PROGRAM, f"--configFile={folder / 'traefik.yml'}"], log if everything else None)
