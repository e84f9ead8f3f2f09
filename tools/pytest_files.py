#!/usr/bin/env python3
"""pytest_files.py DIR [pytest argument ...]: runs the test files of a folder side by side, each in a pytest of its own, and says at the
end what one pytest would say: the files that failed in whole, the FAILED and SKIPPED lines, and a summary that counts them together.

What a file says of itself, as a constant of its module:
  ALONE = "why"   it runs when nothing else does, after the others
  SECONDS = 30    about how long it takes, when that is much: the longest start first

PYTEST_JOBS: how many at once; two for each processor if it is not said, because such tests mostly wait."""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import time

SUMMARY = re.compile(r"^(?:=+ )?((?:\d+ [a-z]+(?:, )?)+) in [0-9.]+")
NO_TESTS = 5  # pytest's status when the arguments leave none


class File:
    def __init__(self, path):
        self.path = path
        text = path.read_text(encoding="utf-8", errors="replace")
        self.alone = re.search(r"^ALONE = ", text, re.M) is not None
        seconds = re.search(r"^SECONDS = (\d+)", text, re.M)
        self.seconds = int(seconds.group(1)) if seconds else 0
        self.counts, self.status, self.output, self.took = {}, 0, "", 0.0

    def run(self, arguments):
        start = time.monotonic()
        done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-rsfE", "--color=no", "-p", "no:cacheprovider", str(self.path), *arguments],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        self.took = time.monotonic() - start
        self.status, self.output = done.returncode, done.stdout
        said = [m for m in map(SUMMARY.match, self.output.splitlines()) if m]
        for number, word in re.findall(r"(\d+) ([a-z]+)", said[-1].group(1) if said else ""):
            word = "error" if word == "errors" else word
            self.counts[word] = self.counts.get(word, 0) + int(number)
        if self.status not in (0, NO_TESTS) and not self.failed():
            self.counts["error"] = 1
            self.output += "ERROR %s - pytest ended with status %d\n" % (self.path, self.status)
        return self

    def failed(self):
        return self.counts.get("failed", 0) + self.counts.get("error", 0)

    def line(self):
        counts = ", ".join("%d %s" % (n, word) for word, n in sorted(self.counts.items())) or "no tests"
        return "%6.1f s%s  %s: %s" % (self.took, " alone" if self.alone else "      ", self.path.name, counts)


def run_all(files, jobs, arguments):
    """The files as they end: those side by side, then the ones that run alone."""
    files = sorted(files, key=lambda f: (-f.seconds, f.path))
    with concurrent.futures.ThreadPoolExecutor(jobs) as crew:
        for done in concurrent.futures.as_completed([crew.submit(f.run, arguments) for f in files if not f.alone]):
            yield done.result()
    for f in files:
        if f.alone:
            yield f.run(arguments)


def main():
    folder, arguments = pathlib.Path(sys.argv[1]), sys.argv[2:]
    jobs = int(os.environ.get("PYTEST_JOBS") or 0) or 2 * (os.cpu_count() or 1)
    start = time.monotonic()
    broken, counts = [], {}
    for f in run_all([File(path) for path in sorted(folder.rglob("test_*.py"))], jobs, arguments):
        print(f.line(), flush=True)
        for word, number in f.counts.items():
            counts[word] = counts.get(word, 0) + number
        if f.failed():
            broken.append(f)
        else:
            print("".join(line + "\n" for line in f.output.splitlines() if line.startswith("SKIPPED")), end="")
    for f in broken:
        print("\n==== %s\n%s" % (f.path, f.output))
    print("%s in %.2fs" % (", ".join("%d %s" % (n, word) for word, n in sorted(counts.items())) or "no tests ran", time.monotonic() - start))
    return 1 if broken else 0 if counts else NO_TESTS


if __name__ == "__main__":
    sys.exit(main())
