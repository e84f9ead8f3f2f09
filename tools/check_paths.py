#!/usr/bin/python3
"""Nothing that only holds on one machine: no home directories, no work trees, no absolute build paths."""

import re
import sys

import c_source

_PATH = re.compile(r"(?<![\w.~-])/(?:home|root|Users|work|workspace|mnt/data)/[A-Za-z0-9_.-]+")


def check(findings, path, text):
    for match in _PATH.finditer(text):
        findings.add(path, c_source.line_of(text, match.start()), match.group(0),
                     f"has the path '{match.group(0)}' of some machine; make it relative or configurable")


if __name__ == "__main__":
    sys.exit(c_source.run("paths", (".c", ".cc", ".h", ".def", ".py", ".sh", ".md", ".proto", ".js", ".mjs", ".jsx", ".html", "Makefile", "run"), check))
