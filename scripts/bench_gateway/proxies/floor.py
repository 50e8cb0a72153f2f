"""What no proxy can be cheaper than: bytes passed on by a hundred lines of C that look at none of them."""
import pathlib, subprocess
from machine import FOLDER, PROXY_CORE
from processes import free_port
from proxies import Proxy, place

NAME = "bytes passed on, no HTTP"
SOURCE = pathlib.Path(__file__).with_suffix(".c")


def version():
    return "`floor.c`"


def start(work, folder, backends, cores=(PROXY_CORE,), endpoints=2):
    program, folder, port = FOLDER / "floor", place(folder, f"floor-{work}-{free_port()}"), free_port()
    subprocess.run(["cc", "-O2", "-Wall", "-Werror", "-o", program, SOURCE], check=True)
    ports = [endpoint.rsplit(":", 1)[1] for endpoint in backends.endpoints(endpoints)]
    return Proxy(NAME, folder, port, [program, port, *ports], cores=cores)
