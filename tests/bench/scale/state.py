"""How fast the master tells its whole state: bytes and seconds of each form, read to the end and thrown away."""
import socket
import time

from world import figure, say


def read_all(address, request):
    """(seconds, bytes of the body) of one answer on a connection of its own."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), 60) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        began = time.monotonic()
        s.sendall(request)
        head = b""
        while b"\r\n\r\n" not in head:
            head += s.recv(65536)
        head, rest = head.split(b"\r\n\r\n", 1)
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise AssertionError(head.decode(errors="replace"))
        total, room = len(rest), bytearray(1 << 20)
        while True:
            n = s.recv_into(room)
            if n == 0:
                return time.monotonic() - began, total
            total += n


def get(address, path):
    return ("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (path, address)).encode()


def get_state(address, accept):
    body = b'{"type":"GET_STATE"}'
    return ("POST /api/v1 HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Type: application/json\r\nAccept: %s\r\n"
            "Content-Length: %d\r\n\r\n" % (address, accept, len(body))).encode() + body


def forms(address):
    return {"state": get(address, "/state"), "get_state": get_state(address, "application/json"),
            "get_state_pb": get_state(address, "application/x-protobuf")}


def measure(world, prefix, runs=3):
    """Prints PREFIX.state.gb_s and so on."""
    for name, request in forms(world.address).items():
        times = []
        for _ in range(runs):
            cpu = world.master.cpu_s()
            seconds, size = read_all(world.address, request)
            times.append((seconds, size, world.master.cpu_s() - cpu))
        seconds, size, cpu = sorted(times)[len(times) // 2]
        say("%s: %.0f MB in %.2f s, %.2f s of the master's CPU" % (name, size / 1e6, seconds, cpu))
        figure("%s.%s.seconds" % (prefix, name), seconds, "s")
        figure("%s.%s.gb_s" % (prefix, name), size / seconds / 1e9, "GB/s")
