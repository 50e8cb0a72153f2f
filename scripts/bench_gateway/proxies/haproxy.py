"""HAProxy, one thread. It verifies RS256 and remembers no token that it has seen."""
import tokens
from machine import program
from processes import free_port
from proxies import NEVER, ROUTE_SECONDS, Proxy, place, version_of

NAME = "HAProxy"

CONFIG = """global
    nbthread 1
    maxconn 12000
    no strict-limits
    log stdout format raw local0 info
defaults
    mode http
    timeout client 75s
    timeout server {seconds}s
    timeout connect 1s
    {log}
frontend front
    bind {listen}
    {everything}
    default_backend patients
backend patients
    balance {balance}
    http-reuse always
    {servers}
{tables}
"""
EVERYTHING = """unique-id-format %[uuid()]
    unique-id-header X-Request-Id
    http-request set-var(txn.bearer) http_auth_bearer
    http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
    http-request set-var(txn.sub) var(txn.bearer),jwt_payload_query('$.sub')
    http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
    http-request set-var(txn.now) date()
    http-request track-sc0 src table addresses
    http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt {never} }}
    http-request deny deny_status 401 unless {{ var(txn.alg) -m str RS256 }}
    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify(txn.alg,"{public}") -m int 1 }}
    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_payload_query('$.iss') -m str {issuer} }}
    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_payload_query('$.aud') -m str {audience} }}
    http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}
    http-request track-sc1 var(txn.sub) table users
    http-request deny deny_status 429 if {{ sc_http_req_rate(1) gt {never} }}
    http-request deny deny_status 403 unless {{ var(txn.bearer),jwt_payload_query('$.scope') -m sub {scope} }}"""
TABLES = """backend addresses
    stick-table type ipv6 size 16k expire 1m store http_req_rate(1s)
backend users
    stick-table type string len 64 size 16k expire 1m store http_req_rate(1s)"""


def version():
    return version_of(program("haproxy"), "-v")


def start(work, folder, backends):
    folder, port, everything = place(folder, f"haproxy-{work}-{free_port()}"), free_port(), work == "b"
    check = " check inter 2s observe layer7 error-limit 50 on-error mark-down" if everything else ""
    servers = "\n    ".join(f"server s{number} {endpoint}{check}" for number, endpoint in enumerate(backends.endpoints()))
    (folder / "haproxy.cfg").write_text(CONFIG.format(
        seconds=ROUTE_SECONDS, listen=f"127.0.0.1:{port}", servers=servers, log="log global\n    option httplog" if everything else "",
        balance="leastconn" if everything else "roundrobin", tables=TABLES if everything else "",
        everything=EVERYTHING.format(never=NEVER, public=tokens.public_pem("RS256"), issuer=tokens.ISSUER, audience=tokens.AUDIENCE,
                                     scope=tokens.SCOPE) if everything else ""))
    token = tokens.one("RS256") if everything else None
    return Proxy(NAME, folder, port, [program("haproxy"), "-f", folder / "haproxy.cfg"], folder / "output" if everything else None, token)
