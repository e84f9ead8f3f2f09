"""HTTP/1.1 on plain sockets: every byte of a request is the test's own, and a stream is read record by record."""
import json
import socket
import threading
import time

JSON = "application/json"
PROTOBUF = "application/x-protobuf"
WAIT = 20.0


class Broken(Exception):
    """The peer closed, was silent for too long, or spoke no HTTP."""


class Answer:
    def __init__(self, status, headers, body=b""):
        self.status = status
        self.headers = headers  # names in small letters
        self.body = body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "<%d %s %r>" % (self.status, self.headers, self.body[:200])


# Headers that every request carries until a test takes them out again: credentials.
DEFAULTS = {}


class Connection:
    """A connection that buffers what was read; every read ends after `wait` seconds at the latest."""

    tls = None  # an ssl.SSLContext while a file's daemons speak TLS

    def __init__(self, address, wait=WAIT):
        host, port = address.rsplit(":", 1)
        self.wait = wait
        self.held = b""
        self.sock = socket.create_connection((host, int(port)), timeout=wait)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls:
            self.sock = self.tls.wrap_socket(self.sock, server_hostname=host)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.sock.settimeout(self.wait)
        self.sock.sendall(data)

    def more(self):
        """Reads what is there; False at the end of the stream."""
        self.sock.settimeout(self.wait)
        try:
            data = self.sock.recv(1 << 16)
        except socket.timeout:
            raise Broken("nothing came for %g s" % self.wait)
        except ConnectionError:
            return False
        self.held += data
        return bool(data)

    def until(self, mark):
        while mark not in self.held:
            if not self.more():
                raise Broken("closed, after %r" % self.held[:200])
        head, self.held = self.held.split(mark, 1)
        return head

    def exactly(self, n):
        while len(self.held) < n:
            if not self.more():
                raise Broken("closed %d bytes early" % (n - len(self.held)))
        data, self.held = self.held[:n], self.held[n:]
        return data

    def head(self):
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        words = lines[0].split(" ", 2)
        if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
            raise Broken("no status line: %r" % lines[0])
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        return Answer(int(words[1]), headers)

    def chunk(self):
        """The next chunk of a chunked body; b"" after the last."""
        size = int(self.until(b"\r\n").split(b";")[0], 16)
        data = self.exactly(size)
        if self.exactly(2) != b"\r\n":
            raise Broken("a chunk does not end where it should")
        return data

    def answer(self, method="GET"):
        a = self.head()
        if method == "HEAD" or a.status in (204, 304):
            return a
        if a.headers.get("transfer-encoding") == "chunked":
            parts = []
            while True:
                part = self.chunk()
                if not part:
                    break
                parts.append(part)
            a.body = b"".join(parts)
        elif "content-length" in a.headers:
            a.body = self.exactly(int(a.headers["content-length"]))
        else:
            while self.more():
                pass
            a.body, self.held = self.held, b""
        return a

    def closed(self):
        """Whether the peer closes without another byte."""
        try:
            return not self.more()
        except Broken:
            return False


def head_bytes(method, path, headers):
    lines = ["%s %s HTTP/1.1" % (method, path)] + ["%s: %s" % h for h in headers.items() if h[1] is not None]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def request_bytes(method, path, headers=None, body=None):
    """A request with Host and Content-Length; a header that is None is left out."""
    if isinstance(body, str):
        body = body.encode()
    all_headers = {"Host": "test"}
    if body is not None:
        all_headers["Content-Length"] = str(len(body))
    all_headers.update(DEFAULTS)
    all_headers.update(headers or {})
    return head_bytes(method, path, all_headers) + (body or b"")


def request(address, method, path, headers=None, body=None, wait=WAIT):
    with Connection(address, wait) as c:
        c.send(request_bytes(method, path, dict({"Connection": "close"}, **(headers or {})), body))
        return c.answer(method)


def get(address, path, **headers):
    return request(address, "GET", path, headers)


def get_json(address, path):
    a = get(address, path)
    assert a.status == 200, a
    return a.json()


def post_json(address, path, value, headers=None, wait=WAIT):
    return request(address, "POST", path, dict({"Content-Type": JSON}, **(headers or {})), json.dumps(value), wait)


class Stream:
    """A request whose answer is a stream of RecordIO: `records` of it as they come."""

    def __init__(self, address, path, body, headers, wait=WAIT):
        self.c = Connection(address, wait)
        try:
            self.c.send(request_bytes("POST", path, headers, body))
            self.answer = self.c.head()
            if self.answer.status != 200:
                n = int(self.answer.headers.get("content-length", 0))
                self.answer.body = self.c.exactly(n)
        except BaseException:
            self.c.close()
            raise
        self.data = b""
        self.chunks = []  # the chunks as they came, for who minds where they end

    def record(self):
        """The next record, or None at the end of the stream."""
        while True:
            length, newline, rest = self.data.partition(b"\n")
            if newline and len(rest) >= int(length):
                n = int(length)
                self.data = rest[n:]
                return rest[:n]
            try:
                piece = self.c.chunk()
            except Broken as e:
                if "closed" in str(e):
                    return None
                raise
            if not piece:
                return None
            self.chunks.append(piece)
            self.data += piece

    def close(self, reader=None):
        """Also from another thread than the one that reads, `reader`, which then wakes up. The descriptor stays until that has seen it:
        else it might read what comes for the next connection of that number."""
        try:
            self.c.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if reader and reader is not threading.current_thread():
            reader.join(2)
        self.c.close()


def eventually(what, wait=WAIT, step=0.05):
    """Calls `what` until it gives something true, which is returned; its last assertion is what one sees when it never does."""
    end = time.monotonic() + wait
    last = None
    while True:
        try:
            value = what()
            if value:
                return value
            last = None
        except (AssertionError, OSError, Broken, KeyError, IndexError) as e:
            last = e
        if time.monotonic() > end:
            raise AssertionError("not within %g s: %s" % (wait, last or getattr(what, "__doc__", None) or what))
        time.sleep(step)
