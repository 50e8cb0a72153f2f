"""The proxies, each told to do the same work: `start(work, folder, backends, …)` of each module.

Work `a` is to forward; work `b` all that the page's table of work `b` says, as far as the proxy can.
"""
import pathlib, re, subprocess, time
from load import check
from machine import PROXY_CORE
from processes import Group

# Limits that are kept and never met: a million a second.
NEVER = 1_000_000
ROUTE_SECONDS = 5
READY_SECONDS_MAX = 10


class Proxy(Group):
    """One that runs: where it listens, where it logs, and the token that it wants to see."""

    def __init__(self, name, folder, port, command, access_log=None, token=None, tls=None, cores=(PROXY_CORE,)):
        self.folder, self.port, self.access_log, self.token, self.tls = pathlib.Path(folder), port, access_log, token, tls
        super().__init__(name, cores, command, folder)
        self.wait_for(port)
        # Some listen before they know where to.
        until = time.monotonic() + READY_SECONDS_MAX
        while wrong := check(self, token):
            if time.monotonic() > until:
                raise SystemExit(wrong)
            time.sleep(0.1)


def version_of(*command):
    told = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
    return re.search(r"\d+\.\d+\.\d+", told)[0]


def place(folder, name):
    made = pathlib.Path(folder) / name
    made.mkdir()
    return made
