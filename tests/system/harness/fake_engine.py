"""A Docker Engine that only says what one would say, recorded from dockerd 20.10: for networks, registries and faults that the real one
cannot show here. `asked` has every request; `instead` answers in the place of what is here: (method, path) -> a function of the handler."""
import http.server
import json
import re
import socketserver
import struct
import threading
import urllib.parse


def frame(text, fd=1, at="2026-11-21T19:52:54.217524591Z"):
    data = ("%s %s" % (at, text)).encode()
    return struct.pack(">BxxxI", fd, len(data)) + data


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"

    def answer(self, status, value=None, raw=None):
        body = raw if raw is not None else b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def handle_one(self):
        e = self.server.engine
        url = urllib.parse.urlsplit(self.path)
        n = int(self.headers.get("Content-Length") or 0)
        self.body = json.loads(self.rfile.read(n)) if n else None
        self.query = dict(urllib.parse.parse_qsl(url.query))
        with e.lock:
            e.asked.append({"method": self.command, "path": url.path, "query": self.query, "body": self.body, "headers": dict(self.headers)})
        for (method, path), fn in list(e.instead.items()):
            if method == self.command and re.fullmatch(path, url.path):
                return fn(self)
        for method, path, fn in ROUTES:
            m = re.fullmatch(path, url.path)
            if m and method == self.command:
                return fn(self, e, *m.groups())
        self.answer(404, {"message": "page not found"})

    def do_any(self):
        try:
            self.handle_one()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_POST = do_DELETE = do_any


def image(h, e, name):
    if name in e.images:
        h.answer(200, {"Id": "sha256:0"})
    else:
        h.answer(404, {"message": "No such image: " + name})


def pull(h, e):
    h.begin()
    h.chunk(b'{"status":"Pulling from library"}\r\n{"status":"Downl')
    h.chunk(b'oading"}\r\n')
    if e.pull_error:
        h.chunk(json.dumps({"errorDetail": {"message": e.pull_error}, "error": e.pull_error}).encode() + b"\r\n")
    else:
        e.images.add("%s:%s" % (h.query["fromImage"], h.query["tag"]))
    h.chunk(b"")


def create(h, e):
    e.containers[h.query["name"]] = {"body": h.body, "running": False, "code": 0, "ended": threading.Event()}
    h.answer(201, {"Id": "c0ffee", "Warnings": []})


def start(h, e, name):
    e.containers[name]["running"] = True
    h.answer(204)


def inspect(h, e, name):
    c = e.containers.get(name)
    if not c:
        return h.answer(404, {"message": "No such container: " + name})
    h.answer(200, dict({"Id": "c0ffee", "Name": "/" + name, "Config": {"StopSignal": "SIGTERM"},
                        "State": {"Status": "running" if c["running"] else "exited", "Running": c["running"], "Pid": 0, "ExitCode": c["code"],
                                  "OOMKilled": False, "Error": ""}}, **e.inspection))


def finish(e, name, code=0):
    c = e.containers[name]
    c["running"] = False
    c["code"] = code
    c["ended"].set()


def wait(h, e, name):
    h.begin()
    if name in e.containers:
        e.containers[name]["ended"].wait(60)
    h.chunk(json.dumps({"StatusCode": e.containers[name]["code"]}).encode())
    h.chunk(b"")


def logs(h, e, name):
    h.begin()
    h.chunk(frame("hello\n"))
    e.containers[name]["ended"].wait(60)
    h.chunk(frame("bye\n", at="2026-11-21T19:52:55.217524591Z"))
    h.chunk(b"")


def stop(h, e, name):
    finish(e, name, 137)
    h.answer(204)


ROUTES = [
    ("GET", "/images/(.*)/json", image), ("POST", "/images/create", pull), ("POST", "/containers/create", create),
    ("POST", "/containers/([^/]*)/start", start), ("GET", "/containers/json", lambda h, e: h.answer(200, [])),
    ("GET", "/containers/([^/]*)/json", inspect), ("POST", "/containers/([^/]*)/wait", wait), ("GET", "/containers/([^/]*)/logs", logs),
    ("POST", "/containers/([^/]*)/(?:stop|kill)", stop), ("DELETE", "/containers/([^/]*)", lambda h, e, name: h.answer(204)),
]


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self):
        request, _ = super().get_request()
        return request, ("unix", 0)

    def handle_error(self, *_):
        pass


class FakeEngine:
    def __init__(self, path):
        self.socket = path
        self.lock = threading.Lock()
        self.server = Server(path, Handler)
        self.server.engine = self
        self.reset()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def reset(self):
        for c in getattr(self, "containers", {}).values():
            c["ended"].set()
        self.asked, self.instead, self.containers = [], {}, {}
        self.images, self.pull_error, self.inspection = {"there:latest"}, None, {}

    def requests(self, method, path):
        with self.lock:
            return [a for a in self.asked if a["method"] == method and re.fullmatch(path, a["path"])]

    def finish(self, name, code=0):
        finish(self, name, code)

    def stop(self):
        self.reset()
        self.server.shutdown()
        self.server.server_close()
