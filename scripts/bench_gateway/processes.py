"""Programs that are measured: each in a process group of its own, on processors of its own, ended whatever happens."""
import atexit, os, pathlib, re, signal, socket, subprocess, time

TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def pinned(cores, *command):
    return ["taskset", "--cpu-list", ",".join(map(str, cores)), *map(str, command)]


class Group:
    """A program with its children. As a context it ends with it."""

    def __init__(self, name, cores, command, folder):
        # Should this script be killed, the kernel ends the program; and the program its children.
        command = ["setpriv", "--pdeathsig", "TERM", *pinned(cores, *command)]
        self.name, self.log = name, pathlib.Path(folder) / "output"
        self.process = subprocess.Popen(command, process_group=0, stdin=subprocess.DEVNULL, stdout=open(self.log, "ab"),
                                        stderr=subprocess.STDOUT)
        atexit.register(self.end)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        atexit.unregister(self.end)
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def wait_for(self, port, seconds=30):
        """Until somebody listens."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
        self.end()
        raise SystemExit(f"{self.name} does not answer: {self.log.read_text(errors='replace')[-2000:]}")

    def pids(self):
        group = []
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(") ", 1)[1].split()
            except OSError:
                continue
            if int(fields[2]) == self.process.pid:
                group.append(int(stat.parent.name))
        return sorted(group)

    def cpu(self):
        """User and system seconds so far."""
        fields = [pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split() for pid in self.pids()]
        return sum(int(f[11]) for f in fields) / TICK, sum(int(f[12]) for f in fields) / TICK

    def memory_mb(self):
        """Resident, of all together; pages that two of them share count twice."""
        status = [pathlib.Path(f"/proc/{pid}/status").read_text() for pid in self.pids()]
        return sum(int(re.search(r"VmRSS:\s+(\d+)", text)[1]) for text in status) / 1024
