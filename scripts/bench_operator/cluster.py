"""A real cluster, held by this process: however it ends, the script that holds the cluster sees its standard input end and takes it down."""
import atexit, os, pathlib, subprocess
from figures import BIN, CACHE, ROOT, wait
from api import STACKS, Api

SCRIPT = ROOT / "tests/cluster/kubernetes/cluster"


class Cluster:
    def __init__(self, archives=()):
        self.environment = {**os.environ, "CLUSTER_NAME": "bench"}
        if kept := os.environ.get("BENCH_KUBECONFIG"): # one that is up already, for whoever works on this
            self.holder, self.kubeconfig = None, pathlib.Path(kept)
        else:
            self.holder = subprocess.Popen([SCRIPT, "hold"], env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                           process_group=0)
            atexit.register(self.stop)
            lines = (line.strip() for line in self.holder.stdout)
            self.kubeconfig = next((pathlib.Path(line[11:]) for line in lines if line.startswith("KUBECONFIG=")), None)
            if not self.kubeconfig:
                raise SystemExit("no cluster on this machine: see above why")
            if archives:
                subprocess.run([SCRIPT, "import", *archives], check=True, env=self.environment)
        self.kubectl("apply", "--server-side", "--force-conflicts", f"--filename={ROOT}/crds/healthcarestack.yaml")
        self.api = Api(self.kubeconfig, BIN / "kubectl")
        wait("the definition", 30, lambda: self.api.call("GET", f"{STACKS}/healthcarestacks")[0] == 200)

    def kubectl(self, *arguments, text=None):
        return subprocess.run([BIN / "kubectl", f"--kubeconfig={self.kubeconfig}", *arguments], check=True, capture_output=True, text=True,
                              input=text).stdout

    def stop(self):
        if self.holder and self.holder.poll() is None:
            self.holder.stdin.close()
            self.holder.wait()


def archives():
    found = sorted((CACHE / "images").glob("*.tar"))
    if not found:
        raise SystemExit("no images: `scripts/test-images` makes them")
    return found
