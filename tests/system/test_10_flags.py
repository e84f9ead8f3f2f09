"""Both daemons' command lines: what they answer by themselves, one clear line for mistakes, and /flags."""

import json
import os
import signal
import subprocess
import time
import urllib.request

import pytest

from harness.cluster import free_ports

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(ROOT, os.environ.get("BUILD", "build"), "bin")
DAEMONS = ["fairlead-master", "fairlead-agent"]


def clean_env(**extra):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("FAIRLEAD_", "MESOS_", "LIBPROCESS_"))}
    env.update(extra)
    return env


def run(daemon, *arguments, **env):
    return subprocess.run(
        [os.path.join(BIN, daemon), *arguments], capture_output=True, text=True, timeout=20, check=False,
        env=clean_env(**env))


@pytest.mark.parametrize("daemon", DAEMONS)
def test_help_and_version(daemon):
    out = run(daemon, "--help")
    assert out.returncode == 0 and "--work_dir=VALUE" in out.stdout and out.stderr == ""
    out = run(daemon, "--version")
    assert out.returncode == 0 and out.stdout.startswith(daemon + " ")


@pytest.mark.parametrize("daemon", DAEMONS)
@pytest.mark.parametrize("argument,message", [
    ("--prot=5", "did you mean '--port'?"),
    ("--port=many", "'many' is not a whole number"),
    ("--port=70000", "not between 0 and 65535"),
    ("--port", "write --port=VALUE"),
    ("5050", "unexpected argument '5050'"),
    ("--domain=file:///nowhere", "/nowhere"),
])
def test_a_mistake_is_one_line(daemon, argument, message):
    required = ["--master=127.0.0.1:1", "--work_dir=unused"] if daemon == "fairlead-agent" else []
    out = run(daemon, *required, argument)
    assert out.returncode != 0
    assert message in out.stderr
    assert out.stderr.count("\n") == 1, out.stderr


def test_what_is_required():
    out = run("fairlead-master")
    assert out.returncode != 0 and "--work_dir" in out.stderr
    out = run("fairlead-agent", "--work_dir=/tmp/x")
    assert out.returncode != 0 and "'--master' is required" in out.stderr


def get(port, path):
    deadline = time.monotonic() + 15
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return json.load(answer)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_flags_endpoint(tmp_path):
    port = free_ports(1)[0]
    weights = tmp_path / "weights"
    weights.write_text("eng=2.5\n")
    master = subprocess.Popen(
        [os.path.join(BIN, "fairlead-master"), "--ip=127.0.0.1", f"--port={port}", f"--work_dir={tmp_path}/work",
         "--slave_ping_timeout=1.5mins", f"--weights=file://{weights}", "--quorum=1"],
        stderr=subprocess.PIPE, text=True,
        env=clean_env(MESOS_CLUSTER="ours", FAIRLEAD_ROOT_SUBMISSIONS="false", MESOS_ROOT_SUBMISSIONS="true"))
    try:
        flags = get(port, "/flags")["flags"]
        assert all(isinstance(v, str) for v in flags.values())
        want = {
            "port": str(port), "agent_ping_timeout": "90secs", "cluster": "ours", "root_submissions": "false",
            "allocation_interval": "1secs", "registry_max_agent_age": "2weeks", "weights": "eng=2.5", "quorum": "1",
            "offer_constraints_re2_max_mem": "4KB", "registry": "replicated_log", "help": "false",
        }
        assert {k: flags.get(k) for k in want} == want
        assert "offer_timeout" not in flags
    finally:
        master.send_signal(signal.SIGTERM)
        log = master.communicate(timeout=20)[1]
    assert "--quorum is replaced here" in log
    assert "'--slave_ping_timeout' is an older name" in log
