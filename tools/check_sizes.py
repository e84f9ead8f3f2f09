#!/usr/bin/python3
"""Files and functions that a reader can hold in mind: at most 1000 lines a file, 80 a function."""

import re
import sys

import c_source

MAX_FILE = 1000
MAX_FUNCTION = 80
_NAME = re.compile(r"([A-Za-z_]\w*)\s*\(")


def functions(text):
    """(name, first line, lines) of each body at the top level that follows a closing parenthesis."""
    code = c_source.blank_preprocessor(c_source.blank(text))
    depth = 0
    start = last = 0
    for i, c in enumerate(code):
        if c == "{":
            if depth == 0:
                start = i
            depth += 1
        elif c == "}":
            depth = max(0, depth - 1)
            if depth == 0:
                head = code[last:start]
                if re.search(r"\)\s*(?:__attribute__\s*\(\(.*\)\)\s*)?$", head, re.S):
                    first = c_source.line_of(code, start)
                    names = _NAME.findall(head)
                    yield (names[0] if names else "?"), first, c_source.line_of(code, i) - first + 1
                last = i + 1
        elif c == ";" and depth == 0:
            last = i + 1


def check(findings, path, text):
    lines = text.count("\n")
    if lines > MAX_FILE:
        findings.add(path, 1, "file", f"has {lines} lines, more than {MAX_FILE}; split it by noun")
    if path.endswith((".c", ".cc", ".h")):
        for name, first, length in functions(text):
            if length > MAX_FUNCTION:
                findings.add(path, first, name, f"{name}() has {length} lines, more than {MAX_FUNCTION}; divide it")


if __name__ == "__main__":
    sys.exit(c_source.run("sizes", (".c", ".cc", ".h", ".def", ".py", ".sh", ".js", ".mjs", ".jsx", ".css"), check))
