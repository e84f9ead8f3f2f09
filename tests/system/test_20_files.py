"""The files of master and agent: logs as /master/log and /slave/log, through /files/..., LIST_FILES and READ_FILE; who may; and the
small endpoints that both daemons answer alike."""
import base64
import grp
import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile

import pytest

from harness import http
from harness.cluster import BIN, Cluster
from harness.http import eventually, get, get_json, post_json
from harness.scheduler import Scheduler

PAGES = 16 * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module")
def logged():
    """A cluster that logs into folders that nobody made; yields (cluster, [(daemon, virtual path, real path)])."""
    top = tempfile.mkdtemp(prefix="fairlead-logs-")
    try:
        with Cluster(1, {"log_dir": top + "/var/log/m"}, {"log_dir": top + "/var/log/a/"}) as c:
            yield c, [(c.master, "/master/log", top + "/var/log/m/fairlead-master.log"),
                      (c.agent, "/slave/log", top + "/var/log/a/fairlead-agent.log")]
    finally:
        shutil.rmtree(top)


def call(daemon, name, **fields):
    return post_json(daemon.address, "/api/v1", {"type": name, name.lower(): fields})


def test_log_folders_are_made(logged):
    for _, _, real in logged[1]:
        while os.path.basename(real) != "var":
            real = os.path.dirname(real)
            assert stat.S_IMODE(os.stat(real).st_mode) == 0o755, real


def test_the_log_in_every_way(logged):
    for d, path, real in logged[1]:
        with open(real, "rb") as f:
            start = f.read(300)
        assert len(start) == 300
        part = get_json(d.address, "/files/read?path=%s&offset=10&length=100" % path)
        assert part == {"data": start[10:110].decode(), "offset": 10}
        size = get_json(d.address, "/files/read?path=" + path)
        assert size["data"] == "" and size["offset"] >= 300
        assert get_json(d.address, "/files/read?path=%s&offset=-1&length=-1" % path)["offset"] >= 300
        assert len(get_json(d.address, "/files/read?path=%s&offset=0&length=-1" % path)["data"]) >= 300
        whole = get(d.address, "/files/download?path=" + path)
        assert whole.status == 200 and whole.body.startswith(start)
        assert whole.headers["content-disposition"] == "attachment; filename=" + os.path.basename(real)
        assert whole.headers["content-type"] == "application/octet-stream"
        assert get_json(d.address, "/files/debug")[path] == os.path.realpath(real)
        assert get_json(d.address, "/files/browse?path=" + path) == []
        read = call(d, "READ_FILE", path=path, offset=10, length=100).json()["read_file"]
        assert base64.b64decode(read["data"]) == start[10:110] and int(read["size"]) >= 300
        beyond = call(d, "READ_FILE", path=path, offset=1 << 40).json()["read_file"]
        assert not beyond.get("data") and int(beyond["size"]) >= 300
        assert call(d, "LIST_FILES", path=path).json()["type"] == "LIST_FILES"
        # Below the daemon's own names too, and as old clients write it.
        name = "/master" if d.program == "fairlead-master" else "/slave(1)"
        assert get_json(d.address, name + "/files/read.json?path=%s&offset=0&length=5" % path)["data"] == start[:5].decode()


def test_what_is_refused(logged):
    c, rows = logged
    for d, path, _ in rows:
        for query, status in (("", 400), ("?path=", 400), ("?path=/nowhere", 404), ("?path=%s/x" % path, 404), ("?path=/etc/passwd", 404)):
            for endpoint in ("browse", "read", "download"):
                assert get(d.address, "/files/" + endpoint + query).status == status, (endpoint, query)
        for more in ("offset=-2", "length=-2", "offset=x", "length=1x"):
            assert get(d.address, "/files/read?path=%s&%s" % (path, more)).status == 400, more
        for name in ("LIST_FILES", "READ_FILE"):
            assert post_json(d.address, "/api/v1", {"type": name}).status == 400
            assert post_json(d.address, "/api/v1", {"type": name, name.lower(): {}}).status == 400
            for missing in ("/nowhere", "/etc/passwd", path + "/../x"):
                offset = {"offset": 0} if name == "READ_FILE" else {}
                assert call(d, name, path=missing, **offset).status == 404, missing


def test_the_log_goes_on_after_a_rotation(logged):
    for d, path, real in logged[1]:
        os.rename(real, real + ".1")
        d.signal(signal.SIGHUP)
        eventually(lambda r=real: os.path.exists(r))
        now = get_json(d.address, "/files/read?path=%s&offset=0" % path)["data"]
        assert now == open(real).read()[:len(now)]


def test_a_sandbox_has_three_names(logged):
    """Its own path, that of the link to the latest run, and one without the work_dir; all gone from nothing else."""
    c, _ = logged
    with Scheduler(c.master.address) as s:
        task, _ = s.run("mkfifo f; mkdir d; chmod 750 d; printf 0123456789 > ten; ln -s /etc/passwd out; touch done; sleep 1000")
        of, = [f for f in get_json(c.agent.address, "/state")["frameworks"] if f["id"] == s.id]
        box = of["executors"][0]["directory"]
        runs = os.path.dirname(box)
        names = [box, runs + "/latest", "/frameworks/%s/executors/%s/runs/latest" % (s.id, task)]
        eventually(lambda: os.path.exists(box + "/done"))
        shown = get_json(c.agent.address, "/files/debug")
        for name in names:
            assert shown[name] == box
            files = {f["path"]: f for f in get_json(c.agent.address, "/files/browse?path=%s/" % name)}
            assert list(files) == sorted(files)
            assert [files["%s/%s" % (name, x)]["mode"][0] for x in ("f", "d", "ten")] == ["p", "d", "-"]
            assert files[name + "/d"]["mode"] == "drwxr-x---"
            ten, on_disk = files[name + "/ten"], os.stat(box + "/ten")
            assert ten["size"] == 10 and ten["nlink"] == 1 and ten["mtime"] == int(on_disk.st_mtime)
            assert ten["uid"] == pwd.getpwuid(on_disk.st_uid).pw_name and ten["gid"] == grp.getgrgid(on_disk.st_gid).gr_name
            assert get_json(c.agent.address, "/files/read?path=%s/ten&offset=3&length=4" % name) == {"data": "3456", "offset": 3}
            for path, status in (("/out", 400), ("/f", 400), ("/d", 400), ("", 400), ("/ten/x", 404), ("/none", 404)):
                assert get(c.agent.address, "/files/read?path=" + name + path).status == status, path
                assert get(c.agent.address, "/files/download?path=" + name + path).status == status, path
                assert call(c.agent, "READ_FILE", path=name + path, offset=0).status == status, path
        assert get(c.agent.address, "/files/browse?path=" + runs).status == 404


def test_a_log_of_something_else():
    """--external_log_file; at most 16 pages a time, whatever bytes are in it."""
    top = tempfile.mkdtemp(prefix="fairlead-logs-")
    try:
        flags = {"external_log_file": top + "/syslog", "log_dir": top + "/own"}
        with open(top + "/syslog", "wb") as f:
            f.write(b"\xff\x00" * PAGES)
        with Cluster(1, flags, flags) as c:
            for d, path in ((c.master, "/master/log"), (c.agent, "/slave/log")):
                read = call(d, "READ_FILE", path=path, offset=0).json()["read_file"]
                assert len(base64.b64decode(read["data"])) == PAGES and int(read["size"]) == 2 * PAGES
                assert get(d.address, "/files/download?path=" + path).body == b"\xff\x00" * PAGES
                assert get_json(d.address, "/state")["external_log_file"] == top + "/syslog"
    finally:
        shutil.rmtree(top)


def test_a_folder_that_cannot_be_made():
    top = tempfile.mkdtemp(prefix="fairlead-logs-")
    try:
        open(top + "/file", "w").close()
        for program, more in (("fairlead-master", []), ("fairlead-agent", ["--master=127.0.0.1:1"])):
            for folder in (top + "/file/logs", top + "/file"):
                out = subprocess.run([os.path.join(BIN, program), "--log_dir=" + folder, "--work_dir=%s/work" % top, "--port=0", *more],
                                     capture_output=True, text=True, timeout=20, check=False)
                assert out.returncode == 1
                assert out.stderr.count("\n") == 1 and top + "/file" in out.stderr, out.stderr
    finally:
        shutil.rmtree(top)


def basic(who):
    return "Basic " + base64.b64encode(("%s:%s-s3cret" % (who, who)).encode()).decode()


def test_who_may_read_the_logs(monkeypatch):
    """ACCESS_MESOS_LOGS and get_endpoints, on both daemons."""
    top = tempfile.mkdtemp(prefix="fairlead-logs-")
    try:
        secrets = {"credentials": [{"principal": p, "secret": p + "-s3cret"} for p in ("op", "guest")]}
        anyone = {"type": "ANY"}

        def only_op(what):
            return [{"principals": {"values": ["op"]}, what: anyone}, {"principals": anyone, what: {"type": "NONE"}}]
        rules = {"access_mesos_logs": only_op("logs"), "get_endpoints": only_op("paths")}
        for name, value in (("cred", secrets), ("acls", rules)):
            with open(os.path.join(top, name), "w") as f:
                json.dump(value, f)
            os.chmod(f.name, 0o600)
        shared = {"acls": "file://%s/acls" % top, "authenticate_http_readonly": True, "authenticate_http_readwrite": True}
        monkeypatch.setitem(http.DEFAULTS, "Authorization", basic("op"))
        with Cluster(1, dict(shared, credentials=top + "/cred", log_dir=top + "/m"),
                     dict(shared, http_credentials=top + "/cred", log_dir=top + "/a")) as c:
            for d, path in ((c.master, "/master/log"), (c.agent, "/slave/log")):
                assert get(d.address, "/files/read?path=" + path, Authorization="").status == 401
                for who, status in (("op", 200), ("guest", 403)):
                    headers = {"Authorization": basic(who)}
                    for query in ("browse?path=%s", "read?path=%s", "download?path=%s", "read?path=%s/"):
                        assert get(d.address, "/files/" + query % path, **headers).status == status, query
                    assert get(d.address, "/files/read?path=%s/../log" % path, **headers).status == (404 if who == "op" else 403)
                    assert get(d.address, "/files/read?path=/nowhere", **headers).status == 404
                    assert get(d.address, "/files/debug", **headers).status == status
                    for fields in ({"type": "LIST_FILES", "list_files": {"path": path}},
                                   {"type": "READ_FILE", "read_file": {"path": path, "offset": 0}}):
                        assert post_json(d.address, "/api/v1", fields, headers).status == status
    finally:
        shutil.rmtree(top)


def test_the_small_endpoints(logged):
    c, _ = logged
    for d in (c.master, c.agent):
        version = get_json(d.address, "/version")
        assert {"version", "build_date", "build_time", "build_user"} <= set(version)
        stats = get_json(d.address, "/system/stats.json")
        assert set(stats) == {"avg_load_1min", "avg_load_5min", "avg_load_15min", "cpus_total", "mem_total_bytes", "mem_free_bytes"}
        assert 0 < stats["mem_free_bytes"] <= stats["mem_total_bytes"] and stats["cpus_total"] >= 1
        assert get(d.address, "/logging/toggle").text == "0\n"
        for query in ("level=1", "duration=1secs", "level=x&duration=1secs", "level=-1&duration=1secs", "level=4294967296&duration=1secs",
                      "level=1&duration=soon"):
            assert get(d.address, "/logging/toggle?" + query).status == 400, query
        assert get(d.address, "/logging/toggle?level=2&duration=1mins").status == 200
        assert get(d.address, "/logging/toggle").text == "2\n"
        assert get(d.address, "/logging/toggle?level=0&duration=1secs").status == 200
        assert get(d.address, "/logging/toggle").text == "0\n"
