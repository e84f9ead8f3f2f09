#!/usr/bin/python3
"""Includes run downwards only, and third-party headers stay in their rooms (docs/architecture.md, "Layers")."""

import re
import sys

import c_source

# Lowest first. A folder may include itself, its own subfolders and parents, and everything on lower rows.
LAYERS = [
    ["common/base", "proto"],
    ["common/model"],
    ["common/wire", "common/coord"],
    ["isolators", "libframework"],
    ["master", "agent"],
    ["emulator", "frameworks", "cli", "executors"],
]

ROOMS = [
    (re.compile(r"event2/|^event\.h$|openssl/|http_parser\.h$|wslay/"), "common/base"),
    (re.compile(r"lmdb\.h$|zookeeper"), "common/coord"),
    (re.compile(r"libcgroup\.h$|libcgroup/|^seccomp\.h$"), "isolators"),
]

# Plain data that is written where it belongs and read below: header -> rooms that may include it.
DATA = {"agent/flags.h": ("isolators",)}

# Rooms inside common/base whose two folders need each other.
SAME = {"common/base": {"proto"}, "proto": {"common/base"}}

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">\n]+)[">]', re.M)


def room_of(path):
    for level, rooms in enumerate(LAYERS):
        for room in rooms:
            if path == room or path.startswith(room + "/"):
                return level, room
    return None, None


def allowed(source, target):
    source_level, source_room = room_of(source)
    target_level, target_room = room_of(target)
    if source_level is None or target_level is None:
        return True
    if source_room in DATA.get(target, ()):
        return True
    if source_room == target_room or target_room in SAME.get(source_room, ()):
        return True
    return target_level < source_level


def check(findings, path, text):
    if path.startswith("tests/") or path.startswith("tools/"):
        return
    for match in _INCLUDE.finditer(c_source.blank(text, keep_strings=True)):
        header = match.group(2)
        line = c_source.line_of(text, match.start(2))
        if match.group(1) == '"' and not allowed(path, header):
            findings.add(path, line, header, f"includes '{header}', which is not below it; move what is shared down")
        for pattern, room in ROOMS:
            if pattern.search(header) and not header.startswith(("common/", "master/", "agent/")) \
                    and not path.startswith(room + "/"):
                findings.add(path, line, header, f"includes '{header}', which belongs to {room}; go through its headers")


if __name__ == "__main__":
    sys.exit(c_source.run("layers", (".c", ".cc", ".h", ".def"), check))
