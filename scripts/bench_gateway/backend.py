"""The two services behind every proxy: an nginx that answers at once, with the same 624 bytes of JSON, on two ports.

It listens on a hundred loopback addresses, so that up to two hundred endpoints can be made of it.
"""
import json, pathlib
from machine import LOAD_CORE, program
from processes import Group, free_port

ADDRESSES = 100
PATIENT = {"patientId": "12345", "name": "John Doe", "dob": "1980-01-01",
           "contactInfo": {"phone": "+1234567890", "email": "johndoe@example.com"},
           "medicalHistory": {"allergies": ["Penicillin"], "chronicConditions": ["Diabetes"]}, "note": ""}
BODY_BYTES = 624
PATIENT["note"] = "x" * (BODY_BYTES - len(json.dumps(PATIENT)))
BODY = json.dumps(PATIENT)
PATH = "/api/patients/12345"

CONFIG = """worker_processes 1;
pid {folder}/pid;
error_log {folder}/errors error;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    tcp_nodelay on;
    server {{
        {listen}
        location / {{ default_type application/json; return 200 '{body}'; }}
    }}
}}
"""


class Backends(Group):
    def __init__(self, folder):
        folder = pathlib.Path(folder)
        folder.mkdir()
        self.ports = free_port(), free_port()
        listen = "\n        ".join(f"listen {at};" for at in self.endpoints(2 * ADDRESSES))
        (folder / "nginx.conf").write_text(CONFIG.format(folder=folder, listen=listen, body=BODY))
        super().__init__("the backends", [LOAD_CORE], [program("nginx"), "-c", folder / "nginx.conf", "-g", "daemon off;"], folder)
        self.wait_for(self.ports[1])

    def endpoints(self, count=2):
        """So many addresses, as `address:port`."""
        all = [f"127.0.0.{last}:{port}" for last in range(1, ADDRESSES + 1) for port in self.ports]
        return all[:count]
