"""What every part begins with: a folder that goes again, the backends, and the list of what it starts."""
import contextlib, pathlib, tempfile
from backend import Backends


class Scene(contextlib.ExitStack):
    """Ends all that was started, in the end."""

    def __enter__(self):
        super().__enter__()
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory(prefix="bench-gateway-")))
        # Workers of nginx may be another user's.
        self.folder.chmod(0o755)
        self.backends = self.enter_context(Backends(self.folder / "backends"))
        return self

    def start(self, proxy, work, **more):
        return self.enter_context(proxy.start(work, self.folder, self.backends, **more))
