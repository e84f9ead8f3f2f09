"""What the checkers share: the repository's files, C text with comments and literals blanked out, and the allow-list.

A checker is run as `tools/check_x.py [--root DIR] [file ...]`; without files it looks at all of the repository's. It prints
one line a finding, `path:line: what, and what to do`, and its exit status is 1 when there was one.
"""

import argparse
import os
import re
import subprocess
import sys

ALLOW_LIST = "tools/lint_allow.txt"

_TOKEN = re.compile(
    r"""/\*.*?\*/ | //(?:\\\n|[^\n])* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""",
    re.S | re.X,
)


def blank(text, keep_strings=False):
    """The text with comments, strings and characters as spaces, every line and column where it was."""

    def spaces(match):
        token = match.group(0)
        if keep_strings and token[0] in "\"'":
            return token
        out = re.sub(r"[^\n]", " ", token)
        if token[0] in "\"'":
            return token[0] + out[1:-1] + token[0]
        return out

    return _TOKEN.sub(spaces, text)


def blank_preprocessor(text):
    """The text without directives (and their continued lines)."""
    return re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.M)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def repository_files(root):
    """Tracked files and new ones that are not ignored, as paths relative to the root."""
    out = subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, check=False,
    )
    if out.returncode == 0:
        names = [n for n in out.stdout.split("\0") if n]
    else:
        names = [
            os.path.relpath(os.path.join(d, f), root) for d, _, files in os.walk(root) for f in files
        ]
    return sorted(set(n for n in names if os.path.isfile(os.path.join(root, n))))


class Findings:
    """Collects findings and takes away those that the allow-list names with a reason."""

    def __init__(self, checker, root):
        self.checker = checker
        self.lines = []
        self.allowed = {}
        self.used = set()
        path = os.path.join(root, ALLOW_LIST)
        if not os.path.exists(path):
            return
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                fields = line.split(None, 3)
                if not fields or fields[0].startswith("#"):
                    continue
                if len(fields) < 4:
                    self.lines.append(f"{ALLOW_LIST}:{number}: an entry is 'checker path what reason'")
                elif fields[0] == checker:
                    self.allowed[fields[1], fields[2]] = number

    def add(self, path, line, what, text):
        if (path, what) in self.allowed:
            self.used.add((path, what))
        else:
            self.lines.append(f"{path}:{line}: {text}")

    def finish(self, all_files):
        if all_files:
            for key in sorted(set(self.allowed) - self.used):
                self.lines.append(f"{ALLOW_LIST}:{self.allowed[key]}: '{key[0]} {key[1]}' is not needed any more")
        for line in self.lines:
            print(line)
        return 1 if self.lines else 0


def run(checker, suffixes, check):
    """Calls check(findings, path, text) for each file with one of the suffixes."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    findings = Findings(checker, args.root)
    for path in args.files or repository_files(args.root):
        if not path.endswith(suffixes):
            continue
        with open(os.path.join(args.root, path), encoding="utf-8", errors="replace") as f:
            check(findings, path, f.read())
    return findings.finish(all_files=not args.files)
