"""Envoy, one worker, with its cache of verified tokens."""
import json
import tokens
from machine import VENV
from processes import free_port
from proxies import NEVER, ROUTE_SECONDS, Proxy, place, version_of

NAME = "Envoy"
# What the package puts on the path is a script that starts this.
PROGRAM = next(VENV.glob("lib/*/site-packages/envoy/_bin/envoy"))
FILTERS = "type.googleapis.com/envoy.extensions.filters"


def typed(name, kind, **config):
    return {"name": name, "typed_config": {"@type": kind, **config}}


def address(endpoint):
    host, port = endpoint.split(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}


def filters_of_everything():
    """Token, permission, limits."""
    bucket = {"max_tokens": NEVER, "tokens_per_fill": NEVER, "fill_interval": "1s"}
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    provider = {"issuer": tokens.ISSUER, "audiences": [tokens.AUDIENCE], "payload_in_metadata": "jwt", "jwt_cache_config": {"jwt_cache_size": 1000},
                "local_jwks": {"inline_string": json.dumps({"keys": [tokens.jwk("RS256")]})},
                "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}]}
    may_read = {"metadata": {"filter": "envoy.filters.http.jwt_authn", "path": [{"key": "jwt"}, {"key": "scope"}],
                             "value": {"string_match": {"contains": tokens.SCOPE}}}}
    return [
        typed("envoy.filters.http.jwt_authn", f"{FILTERS}.http.jwt_authn.v3.JwtAuthentication", providers={"bench": provider},
              rules=[{"match": {"prefix": "/"}, "requires": {"provider_name": "bench"}}]),
        typed("envoy.filters.http.rbac", f"{FILTERS}.http.rbac.v3.RBAC",
              rules={"action": "ALLOW", "policies": {"read": {"permissions": [{"any": True}], "principals": [may_read]}}}),
        typed("envoy.filters.http.local_ratelimit", f"{FILTERS}.http.local_ratelimit.v3.LocalRateLimit", stat_prefix="limits", token_bucket=bucket,
              filter_enabled=always, filter_enforced=always, max_dynamic_descriptors=16384,
              descriptors=[{"entries": [{"key": key}], "token_bucket": bucket} for key in ("remote_address", "user")]),
    ]


def manager(everything, log):
    """The filter that speaks HTTP."""
    limits = [{"actions": [{"remote_address": {}}]}, {"actions": [{"request_headers": {"header_name": "x-user", "descriptor_key": "user"}}]}]
    route = {"match": {"prefix": "/api/patients/"}, "route": {"cluster": "patients", "timeout": f"{ROUTE_SECONDS}s"}}
    host = {"name": "all", "domains": ["*"], "routes": [route]}
    more = {"generate_request_id": everything}
    if everything:
        route.update(stat_prefix="patients")
        host.update(rate_limits=limits)
        line = "%START_TIME% %REQ(:METHOD)% %ROUTE_NAME% %RESPONSE_CODE% %DURATION% %BYTES_SENT% %REQ(X-REQUEST-ID)% %REQ(X-USER)% %UPSTREAM_HOST%\n"
        more["access_log"] = [typed("envoy.access_loggers.file", "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                                    path=str(log), log_format={"text_format_source": {"inline_string": line}})]
    router = typed("envoy.filters.http.router", f"{FILTERS}.http.router.v3.Router")
    return typed("envoy.filters.network.http_connection_manager", f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
                 stat_prefix="front", codec_type="HTTP1", route_config={"virtual_hosts": [host]},
                 http_filters=[*(filters_of_everything() if everything else []), router], **more)


def version():
    return version_of(PROGRAM, "--version")


def start(work, folder, backends):
    folder, port, everything = place(folder, f"envoy-{work}-{free_port()}"), free_port(), work == "b"
    log = folder / "access"
    endpoints = [{"endpoint": {"address": address(endpoint)}} for endpoint in backends.endpoints()]
    cluster = {"name": "patients", "type": "STATIC", "connect_timeout": "1s", "lb_policy": "LEAST_REQUEST" if everything else "ROUND_ROBIN",
               "load_assignment": {"cluster_name": "patients", "endpoints": [{"lb_endpoints": endpoints}]}}
    if everything:
        cluster["outlier_detection"] = {"consecutive_5xx": 5}
    listener = {"name": "front", "address": address(f"127.0.0.1:{port}"), "filter_chains": [{"filters": [manager(everything, log)]}]}
    config = {"static_resources": {"listeners": [listener], "clusters": [cluster]}}
    (folder / "envoy.json").write_text(json.dumps(config, indent=1))
    command = [PROGRAM, "--config-path", folder / "envoy.json", "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
    return Proxy(NAME, folder, port, command, log if everything else None, tokens.one("RS256") if everything else None)
