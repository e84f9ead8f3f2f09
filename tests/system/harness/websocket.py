"""A WebSocket client (RFC 6455) on the harness' connections: every frame is the test's own."""
import base64
import hashlib
import os
import struct

from .http import Connection, request_bytes

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WebSocket(Connection):
    """The handshake's answer is `answer`; only with status 101 is there more."""

    def __init__(self, address, path, headers=None):
        super().__init__(address)
        key = base64.b64encode(os.urandom(16)).decode()
        all_headers = {"Host": address, "Connection": "keep-alive, Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                       "Sec-WebSocket-Key": key}
        all_headers.update(headers or {})
        self.send(request_bytes("GET", path, all_headers))
        a = self.answer = self.head()
        if a.status != 101:
            a.body = self.exactly(int(a.headers.get("content-length", "0")))
            return
        wanted = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        assert a.headers["sec-websocket-accept"] == wanted

    def frame(self, kind, data=b"", fin=True, mask=True):
        """Sends one."""
        n = len(data)
        head = bytes([(0x80 if fin else 0) | kind])
        bit = 0x80 if mask else 0
        head += bytes([bit | n]) if n < 126 else bytes([bit | 126]) + struct.pack(">H", n) if n < 1 << 16 else \
            bytes([bit | 127]) + struct.pack(">Q", n)
        if mask:
            key = os.urandom(4)
            head += key
            data = bytes(b ^ key[i & 3] for i, b in enumerate(data))
        self.send(head + data)

    def read(self):
        """(kind, data) of the next frame."""
        first, second = self.exactly(2)
        n = second & 127
        assert first & 0x70 == 0 and not second & 128, (first, second, self.held)
        if n == 126:
            n = struct.unpack(">H", self.exactly(2))[0]
        elif n == 127:
            n = struct.unpack(">Q", self.exactly(8))[0]
        return first & 15, self.exactly(n)
