"""Servers of files on loopback, for tests of fetching: HTTP with faults to order, and as much of FTP as a client needs to read."""
import socket
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Files:
    """What both serve: {"/path": bytes}; requests are counted as "METHOD /path"."""

    def __init__(self):
        self.files = {}
        self.requests = []
        self.hold = threading.Event()  # paths below /slow/ send one byte, and the rest when this is set
        self.hold.set()

    def count(self, what):
        return self.requests.count(what)


class HttpHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, body):
        files = self.server.what
        path = self.path.split("?")[0]
        files.requests.append("%s %s" % (self.command, path))
        if path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", path[3:] if path.count("://") == 0 else path[4:])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if path.startswith("/status/"):
            self.send_response(int(path.split("/")[2]))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = files.files.get(path.replace("/slow/", "/"))
        self.send_response(404 if data is None else 200)
        self.send_header("Content-Length", str(len(data or b"")))
        self.end_headers()
        if not body or data is None:
            return
        try:
            if path.startswith("/slow/"):
                self.wfile.write(data[:1])
                self.wfile.flush()
                files.hold.wait(60)
                data = data[1:]
            self.wfile.write(data)
        except OSError:
            pass

    def do_GET(self):
        self.answer(True)

    def do_HEAD(self):
        self.answer(False)


class FtpHandler(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write((text + "\r\n").encode())

    def handle(self):
        files = self.server.what
        here, data = "/", None
        self.say("220 hello")
        for line in self.rfile:
            word, _, rest = line.decode(errors="replace").strip().partition(" ")
            word = word.upper()
            path = rest if rest.startswith("/") else here.rstrip("/") + "/" + rest
            if word == "USER":
                self.say("331 and the password")
            elif word == "PASS":
                self.say("230 come in")
            elif word == "PWD":
                self.say('257 "/"')
            elif word == "CWD":
                here = path
                self.say("250 there")
            elif word == "TYPE":
                self.say("200 as you like")
            elif word == "EPSV":
                data = socket.create_server(("127.0.0.1", 0))
                self.say("229 here (|||%d|)" % data.getsockname()[1])
            elif word == "SIZE":
                self.say("213 %d" % len(files.files[path]) if path in files.files else "550 no such file")
            elif word == "RETR" and path in files.files:
                files.requests.append("RETR " + path)
                self.say("150 comes")
                c, _ = data.accept()
                c.sendall(files.files[path])
                c.close()
                data.close()
                self.say("226 done")
            elif word == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("550 no")


class FtpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class HttpServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Clients that are killed in the middle are nothing to talk of."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Serving:
    """with Serving(HttpServer, HttpHandler) as s: s.files["/a"] = b"..."; s.url is http://127.0.0.1:PORT."""

    def __init__(self, server, handler, scheme):
        self.what = Files()
        self.server = server(("127.0.0.1", 0), handler)
        self.server.what = self.what
        self.url = "%s://127.0.0.1:%d" % (scheme, self.server.server_address[1])
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.what.hold.set()
        self.server.shutdown()
        self.server.server_close()


def http_server():
    return Serving(HttpServer, HttpHandler, "http")


def ftp_server():
    return Serving(FtpServer, FtpHandler, "ftp")
