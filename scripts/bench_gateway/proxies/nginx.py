"""nginx, one worker. Without a JWT module, which the free one does not have: its limits go by address and by `Authorization`."""
from load import CONNECTIONS
from machine import PROXY_CORE, program
from processes import free_port
from proxies import NEVER, ROUTE_SECONDS, Proxy, place, version_of

NAME = "nginx"

CONFIG = """worker_processes {workers};
pid {folder}/pid;
error_log {folder}/errors error;
events {{ worker_connections 16384; }}
http {{
    keepalive_requests 1000000000;
    keepalive_timeout 75s;
    tcp_nodelay on;
    upstream patients {{
        {servers}
        keepalive {kept};
        keepalive_requests 1000000000;
    }}
    limit_req_zone $binary_remote_addr zone=address:10m rate={rate}r/s;
    limit_req_zone $http_authorization zone=user:10m rate={rate}r/s;
    log_format all '$msec $request_method /api/patients $status $request_time $body_bytes_sent $request_id $remote_addr $upstream_addr';
    {log}
    server {{
        listen {listen};
        {tls}
        location /api/patients/ {{
            {limits}
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            {request_id}
            proxy_read_timeout {seconds}s;
            proxy_pass http://patients;
        }}
    }}
}}
"""


def version():
    return version_of(program("nginx"), "-v")


def start(work, folder, backends, tls=None, cores=(PROXY_CORE,), endpoints=2):
    folder, port, everything = place(folder, f"nginx-{work}-{free_port()}"), free_port(), work == "b"
    log = folder / "access"
    zones = "".join(f"limit_req zone={zone} burst={NEVER} nodelay; " for zone in ("address", "user"))
    (folder / "nginx.conf").write_text(CONFIG.format(
        folder=folder, workers=len(cores), kept=CONNECTIONS * endpoints, rate=NEVER, seconds=ROUTE_SECONDS, listen=f"127.0.0.1:{port}{' ssl http2' if tls else ''}",
        servers=" ".join(f"server {endpoint} max_fails={5 if everything else 0};" for endpoint in backends.endpoints(endpoints)),
        tls=f"ssl_certificate {tls.chain}; ssl_certificate_key {tls.key}; ssl_protocols TLSv1.3;" if tls else "",
        log=f"access_log {log} all buffer=64k flush=1s;" if everything else "access_log off;",
        limits=zones if everything else "", request_id="proxy_set_header X-Request-Id $request_id;" if everything else ""))
    command = [program("nginx"), "-c", folder / "nginx.conf", "-g", "daemon off;"]
    return Proxy(NAME, folder, port, command, log if everything else None, tls=tls, cores=cores)
