"""libframework launches plain amounts on what is reserved to the role, which a task has to name: the demonstration framework."""
import json
import os
import subprocess
import urllib.parse

from harness.cluster import ROOT, Cluster
from harness.http import get_json, request

THROTTLE = os.path.join(ROOT, os.environ.get("BUILD", "build"), "examples", "throttle")


def test_reserved_first_then_the_rest():
    cluster = Cluster(1)
    try:
        agent = cluster.slaves()[0]["id"]
        reserved = [{"name": n, "type": "SCALAR", "scalar": {"value": v},
                     "reservations": [{"type": "DYNAMIC", "role": "eng", "principal": "ops"}]} for n, v in (("cpus", 2.5), ("mem", 300))]
        body = urllib.parse.urlencode({"slaveId": agent, "resources": json.dumps(reserved)})
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert request(cluster.master.address, "POST", "/reserve", form, body).status == 202
        said = subprocess.run([THROTTLE, "--master", cluster.master.address, "--role", "eng", "--cpus", "1", "--mem", "128", "--seconds", "1",
                               "--total", "8"], capture_output=True, text=True, timeout=60)
        # Four at a time: two on what is reserved, one on what is not, one on both.
        assert said.returncode == 0, said.stderr
        assert "running=4 " in said.stdout and "failed=0" in said.stdout.splitlines()[-1]
        used = get_json(cluster.master.address, "/slaves")["slaves"][0]["reserved_resources"]["eng"]
        assert used["cpus"] == 2.5
    finally:
        cluster.stop()
