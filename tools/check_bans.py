#!/usr/bin/python3
"""Calls that the house does not make (HACKING.md, "Rules"): each has a replacement that cannot go wrong that way."""

import re
import sys

import c_source

NUMBERS = "use fl_parse_i64, fl_parse_u64 or fl_parse_f64"
TEXT = "use fl_snprintf, xasprintf or struct fl_buf"
BANNED = {
    "sprintf": TEXT, "vsprintf": TEXT, "strcpy": TEXT, "strcat": TEXT, "stpcpy": TEXT, "strncat": TEXT,
    "strtok": "use strcspn", "strtok_r": "use strcspn",
    "atoi": NUMBERS, "atol": NUMBERS, "atoll": NUMBERS, "atof": NUMBERS,
    "strtol": NUMBERS, "strtoul": NUMBERS, "strtoll": NUMBERS, "strtoull": NUMBERS, "strtod": NUMBERS, "sscanf": NUMBERS,
    "alloca": "use the heap with _cleanup_", "gets": "read with a length",
    "dup": "use fcntl(F_DUPFD_CLOEXEC)", "system": "use posix_spawn or the launcher", "popen": "use posix_spawn",
    "tmpnam": "use mkostemp", "mktemp": "use mkostemp", "vfork": "use posix_spawn",
    "gmtime": "use gmtime_r", "localtime": "use localtime_r", "asctime": "use strftime", "ctime": "use strftime",
    "rand": "use env_random", "srand": "use env_random",
    "signal": "use sigaction or the loop's signals",
    "malloc": "use xmalloc", "calloc": "use xcalloc", "realloc": "use xrealloc", "strdup": "use xstrdup",
    "strndup": "use xstrndup", "asprintf": "use xasprintf",
}
ALLOCATION = {"malloc", "calloc", "realloc", "strdup", "strndup", "asprintf"}
# The library answers -ENOMEM where daemons abort, and the shim has nothing but libc.
OWN_ALLOCATION = re.compile(r"^(libframework|agent/containerizer/shim|tests)/")
# Examples are whole programs that see the public headers only, as their readers' will.
EXAMPLE = re.compile(r"^libframework/examples/")
# Descriptors are close-on-exec from birth, or a task inherits them.
CLOEXEC = {
    "open": "O_CLOEXEC", "openat": "O_CLOEXEC", "open64": "O_CLOEXEC", "socket": "SOCK_CLOEXEC",
    "socketpair": "SOCK_CLOEXEC", "accept4": "SOCK_CLOEXEC", "pipe2": "O_CLOEXEC", "eventfd": "EFD_CLOEXEC",
    "epoll_create1": "EPOLL_CLOEXEC", "inotify_init1": "IN_CLOEXEC", "timerfd_create": "TFD_CLOEXEC",
    "signalfd": "SFD_CLOEXEC", "memfd_create": "MFD_CLOEXEC", "mkostemp": "O_CLOEXEC", "dup3": "O_CLOEXEC",
}
BORN_OPEN = {
    "accept": "accept4 with SOCK_CLOEXEC", "pipe": "pipe2 with O_CLOEXEC", "epoll_create": "epoll_create1",
    "inotify_init": "inotify_init1", "mkstemp": "mkostemp with O_CLOEXEC", "creat": "open with O_CLOEXEC",
}
# Cores are handed time and chance (docs/architecture.md, "Cores and shells"): these folders are logic only.
WORLD = {
    "clock_gettime", "gettimeofday", "time", "getrandom", "random", "sleep", "usleep", "nanosleep", "socket", "fopen",
    "open", "openat", "connect", "unlink", "rename", "mkdir", "kill", "fork",
}
CORES = re.compile(
    r"^(master/(?!main|shell|flags)[^/]*|master/allocator/(?!allocator_load|replay_main)[^/]*|agent/(?!main|shell|disk|flags)[^/]*"
    r"|common/model/[^/]*)\.c$")

_CALL = re.compile(r"(?<![\w.>])([a-z_][a-z0-9_]*)\s*\(")


def arguments(text, opening):
    depth = 0
    for i in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return text[opening + 1:i]
    return text[opening + 1:]


def is_declaration(text, start):
    """`int open(...)`: a type before the name means that this one is declared, not called."""
    before = text[:start].rstrip(" \t*")
    word = re.search(r"([A-Za-z_]\w*)$", before)
    return bool(word) and word.group(1) not in ("return", "else", "do", "case", "sizeof") \
        and "\n" not in text[len(before):start]


def check(findings, path, text):
    test = path.startswith("tests/")
    code = c_source.blank_preprocessor(c_source.blank(text))
    # A static function of the file may have a libc name (accept an offer, kill a task): that one is called then.
    own = {m.group(1) for m in _CALL.finditer(code) if is_declaration(code, m.start())}
    for match in _CALL.finditer(code):
        name = match.group(1)
        if name in own:
            continue
        line = c_source.line_of(code, match.start())
        excused = (test and name in ("signal", "system", "popen", "sscanf")) \
            or (name in ALLOCATION and OWN_ALLOCATION.match(path)) \
            or (BANNED.get(name) == NUMBERS and EXAMPLE.match(path))
        if name == "signal" and re.search(r"SIG_(IGN|DFL)\s*$", arguments(code, match.end() - 1)):
            excused = True
        if name in BANNED and not excused:
            findings.add(path, line, name, f"calls {name}(); {BANNED[name]}")
        if name == "exit" and not test and not EXAMPLE.match(path) and not path.endswith("main.c"):
            findings.add(path, line, name, "calls exit() outside a main file; return an error")
        if CORES.match(path) and name in WORLD:
            findings.add(path, line, name, f"calls {name}() in a core; take it from struct env")
        if test:
            continue
        if name in BORN_OPEN:
            findings.add(path, line, name, f"calls {name}(), whose descriptor tasks inherit; use {BORN_OPEN[name]}")
        if name in CLOEXEC and CLOEXEC[name] not in arguments(code, match.end() - 1):
            findings.add(path, line, name, f"calls {name}() without {CLOEXEC[name]}")
        if name in ("fopen", "fdopen"):
            mode = arguments(text, match.end() - 1)
            if name == "fopen" and not re.search(r'"[a-z+]*e[a-z+]*"\s*$', mode):
                findings.add(path, line, name, "calls fopen() without 'e' in the mode")


if __name__ == "__main__":
    sys.exit(c_source.run("bans", (".c", ".cc", ".h"), check))
