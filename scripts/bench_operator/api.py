"""A client of the API server, small enough not to be what is measured: one connection for each thread that calls."""
import base64, http.client, json, ssl, subprocess, tempfile, threading, urllib.parse

STACKS = "/apis/healthcarestack.dev/v1alpha1"


class Api:
    def __init__(self, kubeconfig, kubectl):
        view = subprocess.run([kubectl, "config", "view", "--raw", "--minify", "--output=json"], check=True, capture_output=True,
                              env={"KUBECONFIG": str(kubeconfig)})
        config = json.loads(view.stdout)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.address = urllib.parse.urlparse(cluster["server"])
        self.context = ssl.create_default_context(**authority(cluster))
        self.context.check_hostname = False
        self.headers = {"Accept": "application/json"}
        if "token" in user:
            self.headers["Authorization"] = f"Bearer {user['token']}"
        else:
            self.context.load_cert_chain(path(user, "client-certificate"), path(user, "client-key"))
        self.local = threading.local()

    def connect(self, timeout=60):
        return http.client.HTTPSConnection(self.address.hostname, self.address.port, context=self.context, timeout=timeout)

    def call(self, method, path, body=None, media="application/json"):
        """The status and the answer. What a dropped connection left undone is done again."""
        data = json.dumps(body).encode() if body is not None else None
        for last in (False, True):
            connection = getattr(self.local, "connection", None) or self.connect()
            self.local.connection = connection
            try:
                connection.request(method, path, data, {**self.headers, "Content-Type": media})
                answer = connection.getresponse()
                text, is_json = answer.read(), "json" in answer.headers.get("Content-Type", "")
                return answer.status, json.loads(text) if is_json else {"message": text.decode()}
            except (http.client.HTTPException, OSError):
                self.local.connection = None
                if last:
                    raise

    def text(self, path):
        connection = self.connect()
        connection.request("GET", path, headers={**self.headers, "Accept": "text/plain"})
        return connection.getresponse().read().decode()

    def must(self, method, path, body=None, media="application/json"):
        status, answer = self.call(method, path, body, media)
        if status >= 300:
            raise SystemExit(f"{method} {path}: {status} {answer.get('message')}")
        return answer

    def merge(self, path, patch):
        return self.must("PATCH", path, patch, "application/merge-patch+json")

    def apply(self, path, body):
        return self.must("PATCH", f"{path}?fieldManager=bench&force=true", body, "application/apply-patch+yaml")

    def watch(self, path, took):
        """Calls `took` with each event, from what is there already to the end of the process, in a thread of its own."""
        def run():
            try:
                connection = self.connect(timeout=3600)
                connection.request("GET", f"{path}?watch=true&timeoutSeconds=3600", headers=self.headers)
                for line in connection.getresponse():
                    took(json.loads(line))
            except (http.client.HTTPException, OSError, ValueError):
                pass # the API server is gone; who waits for something notices
        threading.Thread(target=run, daemon=True).start()


def authority(cluster):
    if "certificate-authority-data" in cluster:
        return {"cadata": base64.b64decode(cluster["certificate-authority-data"]).decode()}
    return {"cafile": cluster["certificate-authority"]}


def path(user, key):
    if key in user:
        return user[key]
    file = tempfile.NamedTemporaryFile(suffix=".pem")
    file.write(base64.b64decode(user[f"{key}-data"]))
    file.flush()
    KEPT.append(file)
    return file.name


KEPT = []
