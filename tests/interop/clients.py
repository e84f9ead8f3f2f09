"""What the tests of this folder share: clients that others published, installed by install.sh, run as processes against a real cluster."""
import importlib.metadata
import json
import os
import pwd
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))

from harness.cluster import BIN, Cluster  # noqa: E402
from harness.http import eventually, get_json  # noqa: E402

PLACE = os.path.join(os.path.dirname(BIN), "interop")
USER = pwd.getpwuid(os.geteuid()).pw_name
# Tasks see this agent's environment, and a client must not find another cluster's in it.
FOREIGN = ("HOST", "PORT0", "PYTHONPATH", "NODE_PATH")

__all__ = ["Cluster", "eventually", "get_json", "HERE", "USER", "Program", "install", "place", "published", "python_client", "node_client"]


def place(*path):
    return os.path.join(PLACE, *path)


def install(part):
    """A client that was never run has shown nothing: what cannot be installed is a failure, with the registry's own words."""
    done = subprocess.run([os.path.join(HERE, "install.sh"), part], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    if done.returncode != 0:
        pytest.fail("the client '%s' could not be installed into '%s' (status %d); it needs its package registry. It said:\n%s"
                    % (part, PLACE, done.returncode, done.stdout[-3000:]), pytrace=False)


def published(name):
    """The versions of a PyPI package that are installed here: the one of the list, when all is well."""
    install("pypi")
    return [d.version for d in importlib.metadata.distributions(path=[place("pypi")]) if d.metadata["Name"] == name]


class Program:
    """A client's process: its standard output is lines of JSON, of which those that are none are kept as text."""

    def __init__(self, cluster, command, **environment):
        self.cluster = cluster
        self.folder = cluster.folder
        self.environment = {k: v for k, v in os.environ.items() if k not in FOREIGN}
        self.environment.update(environment, PYTHONPYCACHEPREFIX=place("pycache"))
        self.command = command
        self.process = None
        self.out_path = os.path.join(self.folder, "client-%d.out" % id(self))
        self.err_path = os.path.join(self.folder, "client-%d.err" % id(self))

    def start(self):
        with open(self.out_path, "w") as out, open(self.err_path, "w") as err:
            self.process = subprocess.Popen(self.command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=err)
        return self

    def run(self, wait=60):
        """Until it ends by itself."""
        self.start()
        try:
            self.process.wait(wait)
        except subprocess.TimeoutExpired:
            self.stop()
            raise AssertionError("it did not end within %d s\n%s" % (wait, self.told()))
        return self

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def status(self):
        return self.process.poll()

    def text(self):
        with open(self.out_path, errors="replace") as f:
            return f.read()

    def errors(self):
        with open(self.err_path, errors="replace") as f:
            return f.read()

    def lines(self):
        return [json.loads(line) for line in self.text().splitlines() if line.startswith("{") and line.endswith("}")]

    def saw(self, what):
        return [line for line in self.lines() if line.get("saw") == what]

    def states(self, task):
        """Of its status updates, without TASK_STARTING, which an executor may send or not, and without answers to a reconciliation."""
        return [u["state"] for u in self.saw("update")
                if u["task"] == task and u["state"] != "TASK_STARTING" and u.get("reason") != "REASON_RECONCILIATION"]

    def told(self):
        return "%s: status %s\n%s\n%s\n%s" % (self.command[:3], self.status, self.text()[-8000:], self.errors()[-4000:], self.cluster.logs())


def python_client(cluster, script, *arguments):
    """One of pypi/*.py by Debian's Python, with the installed packages before the system's."""
    return Program(cluster, ["/usr/bin/python3", os.path.join(HERE, "pypi", script), *arguments], PYTHONPATH=place("pypi"))


def node_client(cluster, script, *arguments):
    return Program(cluster, ["node", os.path.join(HERE, "npm", script), *arguments], NODE_PATH=place("npm", "node_modules"))
