"""A DNS client of one question over UDP, for A and SRV records."""
import socket
import struct

A, SRV = 1, 33
NO_ERROR, NO_SUCH_NAME = 0, 3


def name_bytes(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.rstrip(".").split(".")) + b"\0"


def read_name(data, at):
    """The name that begins at `at`, and where it ends; pointers lead elsewhere."""
    parts, end = [], None
    while data[at]:
        if data[at] >= 0xC0:
            end = end or at + 2
            at = struct.unpack_from(">H", data, at)[0] & 0x3FFF
        else:
            parts.append(data[at + 1:at + 1 + data[at]].decode())
            at += 1 + data[at]
    return ".".join(parts), end or at + 1


def ask(port, name, kind, wait=5.0):
    """The answer's code, and its records of that kind: addresses, or (host, port) of services, sorted."""
    question = struct.pack(">HHHHHH", 0x4242, 0x0100, 1, 0, 0, 0) + name_bytes(name) + struct.pack(">HH", kind, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(wait)
        s.sendto(question, ("127.0.0.1", port))
        data = s.recv(4096)
    number, flags, questions, answers = struct.unpack_from(">HHHH", data)
    assert number == 0x4242 and flags & 0x8000 and questions == 1, data
    _, at = read_name(data, 12)
    at += 4
    found = []
    for _ in range(answers):
        _, at = read_name(data, at)
        record, _, _, length = struct.unpack_from(">HHIH", data, at)
        at += 10
        if record == kind == A:
            found.append(socket.inet_ntoa(data[at:at + 4]))
        elif record == kind == SRV:
            found.append((read_name(data, at + 6)[0], struct.unpack_from(">H", data, at + 4)[0]))
        at += length
    return flags & 15, sorted(found)
