"""Small images around a static busybox, made with umoci; a docker-registry that keeps them; a token server for Bearer."""
import base64
import http.server
import json
import os
import shutil
import signal
import subprocess
import threading
import time
import urllib.parse

from .cluster import free_ports
from .http import eventually, get

TOOLS = ("docker-registry", "skopeo", "umoci", "busybox")
APPLETS = ("sh", "ls", "cat", "id", "pwd", "env", "echo", "sleep", "stat", "touch", "test", "readlink", "mount", "grep", "cp")


def missing():
    return [t for t in TOOLS if not shutil.which(t)]


def run(*words):
    p = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert p.returncode == 0, "%s: %s" % (" ".join(words), p.stdout)


class Layout:
    """An OCI layout in a folder; its images have busybox and what each layer brings."""

    def __init__(self, path):
        self.path = path
        run("umoci", "init", "--layout", path)

    def name(self, tag):
        return "%s:%s" % (self.path, tag)

    def layer(self, tag, change):
        """change(root) works on what is there; what it did becomes a layer."""
        bundle = self.path + "-bundle"
        run("umoci", "unpack", "--image", self.name(tag), bundle)
        change(os.path.join(bundle, "rootfs"))
        run("umoci", "repack", "--image", self.name(tag), bundle)
        shutil.rmtree(bundle)

    def base(self, tag, *changes, **config):
        run("umoci", "new", "--image", self.name(tag))
        self.layer(tag, busybox)
        for c in changes:
            self.layer(tag, c)
        self.config(tag, **config)

    def config(self, tag, **config):
        words = []
        for key, values in config.items():
            for v in values if isinstance(values, list) else [values]:
                words += ["--config." + key, v]
        if words:
            run("umoci", "config", "--image", self.name(tag), *words)

    def save(self, tag, archive, name):
        """As docker save does; skopeo takes no ':' in file names."""
        run("skopeo", "copy", "-q", "oci:" + self.name(tag), "docker-archive:%s-saved:%s" % (self.path, name))
        os.rename(self.path + "-saved", archive)

    def push(self, tag, where, *options):
        run("skopeo", "copy", "-q", "--dest-tls-verify=false", *options, "oci:" + self.name(tag), "docker://" + where)


def busybox(root):
    os.makedirs(root + "/bin")
    shutil.copy(shutil.which("busybox"), root + "/bin/busybox")
    for a in APPLETS:
        os.symlink("busybox", root + "/bin/" + a)
    for d in ("etc", "tmp", "gone", "hidden"):
        os.mkdir(root + "/" + d)
    for f in ("etc/release", "gone/file", "hidden/old"):
        with open(root + "/" + f, "w") as out:
            out.write("first\n")


def second(root):
    """Takes away a folder, hides another's content, changes a file."""
    shutil.rmtree(root + "/gone")
    shutil.rmtree(root + "/hidden")
    os.mkdir(root + "/hidden")
    for f in ("hidden/new", "etc/release"):
        with open(root + "/" + f, "w") as out:
            out.write("second\n")


class Registry:
    """Debian's docker-registry on a free port; `auth` is its configuration's."""

    def __init__(self, folder, auth=None):
        self.port = free_ports(1)[0]
        self.host = "127.0.0.1:%d" % self.port
        os.makedirs(folder, exist_ok=True)
        config = {"version": 0.1, "storage": {"filesystem": {"rootdirectory": folder + "/data"}, "delete": {"enabled": True}},
                  "http": {"addr": self.host}, "log": {"accesslog": {"disabled": False}, "level": "info"}}
        if auth:
            config["auth"] = auth
        path = folder + "/config.yml"
        with open(path, "w") as f:
            json.dump(config, f)
        self.log = folder + "/log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", path], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            eventually(lambda: get(self.host, "/v2/").status in (200, 401))
        except BaseException:
            self.stop()
            raise

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def requests(self, what):
        with open(self.log, errors="replace") as f:
            return sum(1 for line in f if what in line and '"GET /v2/' in line)


class Front:
    """A server of our own before a registry, or instead of one: each GET goes to answer(handler), which returns True when it has
    answered; else it is passed on. What was asked with which Authorization is kept."""

    def __init__(self, registry=None, answer=None):
        front = self
        self.registry = registry
        self.answer = answer
        self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                front.asked.append((self.path, self.headers.get("Authorization"), self.headers.get("Range")))
                try:
                    if not (front.answer and front.answer(self)):
                        front.forward(self)
                except (OSError, ValueError):
                    self.close_connection = True

            def send(self, status, body=b"", **headers):
                self.send_response(status)
                for k, v in headers.items():
                    self.send_header(k.replace("_", "-"), v)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                return True

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = "127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def fetch(self, handler):
        keep = {k: v for k, v in handler.headers.items() if k in ("Accept", "Authorization", "Range")}
        return get(self.registry.host, handler.path, **keep)

    def forward(self, handler):
        a = self.fetch(handler)
        more = {k.title().replace("-", "_"): v for k, v in a.headers.items()
                if k in ("content-type", "docker-content-digest", "www-authenticate", "content-range")}
        handler.send(a.status, a.body, **more)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def basic(user, password):
    return "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode()


def docker_config(host, user, password):
    return json.dumps({"auths": {host: {"auth": base64.b64encode(("%s:%s" % (user, password)).encode()).decode()}}})


class TokenFront(Front):
    """Lets a registry in only with a Bearer token that this server gives to `user` with `password`, for one repository."""

    def __init__(self, registry, user, password, lifetime=1000):
        super().__init__(registry, self.guard)
        self.allowed = basic(user, password)
        self.tokens = {}
        self.lifetime = lifetime  # requests a token is good for

    def guard(self, h):
        url = urllib.parse.urlparse(h.path)
        query = urllib.parse.parse_qs(url.query)
        if url.path == "/token":
            if h.headers.get("Authorization") != self.allowed:
                return h.send(401)
            token = "token%d" % len(self.tokens)
            self.tokens["Bearer " + token] = [query["scope"][0], self.lifetime]
            return h.send(200, json.dumps({"token": token}).encode())
        given = self.tokens.get(h.headers.get("Authorization"))
        repository = url.path[len("/v2/"):].split("/manifests/")[0].split("/blobs/")[0]
        if given and given[0] == "repository:%s:pull" % repository and given[1] > 0:
            given[1] -= 1
            del h.headers["Authorization"]
            return False
        challenge = 'Bearer realm="http://%s/token",service="here",scope="repository:%s:pull"' % (self.host, repository)
        return h.send(401, b"{}", WWW_Authenticate=challenge)


def slowly(handler, answer, seconds):
    """The answer's body drop by drop."""
    handler.send_response(answer.status)
    handler.send_header("Content-Length", str(len(answer.body)))
    handler.end_headers()
    step = max(1, len(answer.body) // 50)
    for i in range(0, len(answer.body), step):
        handler.wfile.write(answer.body[i:i + step])
        handler.wfile.flush()
        time.sleep(seconds / 50)
    return True
