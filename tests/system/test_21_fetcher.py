"""Fetching, with a real agent: every scheme and archive, the cache, checksums, what means harm, and what goes wrong in the middle."""
import bz2
import gzip
import hashlib
import io
import lzma
import os
import pwd
import shutil
import tarfile
import tempfile
import time
import zipfile

import pytest

from harness.http import eventually
from harness.servers import ftp_server, http_server

SRC = os.path.join(tempfile.gettempdir(), "fairlead-fetch-%d" % os.getpid())
CACHE = SRC + "/cache"
HELD = SRC + "/wait"
AGENT_FLAGS = {"fetcher_cache_dir": CACHE, "fetcher_cache_size": "1MB", "fetcher_stall_timeout": "1secs", "max_parallel_fetches": 2,
               "frameworks_home": SRC, "hadoop_home": SRC, "executor_registration_timeout": "20secs"}
CLIENT = """#!/bin/sh
echo "$*" >>%(src)s/calls
case $2 in
-du) echo WARN; echo "$(stat -c %%s %(src)s/${3##*/}) $3" ;;
-copyToLocal) while [ -e %(src)s/wait ]; do sleep 0.02; done; cp %(src)s/${3##*/} "$4" ;;
esac
"""
NOBODY = pwd.getpwnam("nobody")


def src_file(name, data, mode=0o644):
    path = os.path.join(SRC, name)
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)
    return path


@pytest.fixture(scope="module", autouse=True)
def src():
    os.mkdir(SRC, 0o755)
    os.mkdir(SRC + "/bin")
    src_file("bin/hadoop", (CLIENT % {"src": SRC}).encode(), 0o755)
    src_file("calls", b"", 0o666)
    yield
    shutil.rmtree(SRC)


@pytest.fixture(scope="module")
def web():
    with http_server() as s:
        yield s


def calls():
    with open(SRC + "/calls") as f:
        return [line.split(" /")[0] for line in f.read().splitlines()]


def uri(value, **more):
    return dict({"value": value}, **more)


def launch(s, shell, uris, user=None):
    offer = s.offer(cpus=0.1)
    command = {"value": shell, "uris": uris}
    if user:
        command["user"] = user
    t = s.task(offer, "", command=command)
    s.launch(offer, t)
    return t["task_id"]["value"]


def fine(s, shell, *uris, **more):
    end = s.end_of(launch(s, shell, list(uris), **more))
    assert end["state"] == "TASK_FINISHED", end
    return end


def fails(s, says, *uris, **more):
    end = s.end_of(launch(s, "true", list(uris), **more))
    assert (end["state"], end["reason"]) == ("TASK_FAILED", "REASON_CONTAINER_LAUNCH_FAILED"), end
    assert "Failed to fetch all URIs for container '" in end["message"] and says in end["message"], end["message"]
    return end


# ---- how and what ----

def test_every_scheme(scheduler, web):
    web.what.files.update({"/d/http": b"1", "/d/moved": b"2"})
    for name, text in (("local", b"3"), ("plain", b"4"), ("relative", b"5"), ("bucket", b"6")):
        src_file(name, text)
    with ftp_server() as ftp:
        ftp.what.files["/d/ftp"] = b"7"
        fine(scheduler, 'test "$(cat "http?a=b" moved local plain relative x/y ftp copy)" = 12345671',
             uri(web.url + "/d/http?a=b"), uri(web.url + "/to/d/moved"), uri("file://%s/local" % SRC), uri(SRC + "/plain"),
             uri("relative"), uri("s3a://host/bucket", output_file="x/y"), uri(ftp.url + "/d/ftp"),
             uri(web.url + "/d/http", output_file="copy"))
    assert "fs -copyToLocal s3a://host/bucket" in calls()


def tar_of(*entries, fmt=tarfile.PAX_FORMAT):
    """(name, type, content or target, mode) each."""
    b = io.BytesIO()
    with tarfile.open(fileobj=b, mode="w", format=fmt) as t:
        for name, kind, extra, *mode in entries:
            i = tarfile.TarInfo(name)
            i.type = kind
            i.mode = mode[0] if mode else 0o644
            i.size = len(extra) if kind == tarfile.REGTYPE else 0
            i.linkname = extra if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            t.addfile(i, io.BytesIO(extra) if kind == tarfile.REGTYPE else None)
    return b.getvalue()


FILE, DIR, LINK, HARD, CHR, FIFO = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)


def zip_of(**names):
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w", zipfile.ZIP_DEFLATED) as z:
        for name, text in names.items():
            z.writestr(name, text)
    return b.getvalue()


def test_every_archive(scheduler, web):
    squeeze = {"": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
    names = {"tar": "", "tar.gz": "gz", "tgz": "gz", "tar.bz2": "bz2", "tbz2": "bz2", "tar.xz": "xz", "txz": "xz"}
    uris = []
    for end, how in names.items():
        web.what.files["/a." + end] = squeeze[how](tar_of(("in-" + end, FILE, end.encode())))
        uris.append(uri(web.url + "/a." + end))
    web.what.files.update({"/b.zip": zip_of(**{"in-zip": "zip"}), "/one.txt.gz": gzip.compress(b"gz"), "/run.tgz": b"#!/bin/sh\necho ran"})
    uris += [uri(web.url + "/b.zip"), uri(web.url + "/one.txt.gz"), uri(web.url + "/a.tar", extract=False, output_file="left.tar"),
             uri(web.url + "/run.tgz", executable=True), uri(web.url + "/b.zip?v=2", output_file="c.zip")]
    fine(scheduler, " && ".join(['test "$(cat in-%s)" = %s' % (e, e) for e in list(names) + ["zip"]] +
                                ['test "$(cat one.txt)" = gz', "test -s left.tar", 'test "$(./run.tgz)" = ran', "test -s c.zip"]), *uris)


@pytest.mark.root
def test_with_the_rights_of_the_tasks_user(scheduler):
    src_file("secret", b"x", 0o600)
    src_file("public", b"x")
    for u in ("file:///etc/shadow", "secret", "../../../../../../etc/shadow"):
        fails(scheduler, "Permission denied", uri(u), user="nobody")
        fails(scheduler, "Permission denied", uri(u, cache=True), user="nobody")
    fine(scheduler, 'test "$(stat -c %u public)" = ' + str(NOBODY.pw_uid), uri("public"), user="nobody")


def test_checksums(scheduler, web):
    data = b"x" * 1000
    web.what.files["/sum"] = data
    good, long = hashlib.sha256(data).hexdigest(), hashlib.sha512(data).hexdigest()
    fine(scheduler, "test -s sum && test -s other", uri("%s/sum#sha256=%s" % (web.url, good)),
         uri("%s/sum#sha512=%s" % (web.url, long.upper()), output_file="other", cache=True))
    web.what.files["/sum"] = data + b"y"
    fails(scheduler, "but should have " + good, uri("%s/sum#sha256=%s" % (web.url, good)))
    fails(scheduler, "64 hexadecimal digits", uri("%s/sum#sha256=12" % web.url))


# ---- what goes wrong ----

def test_errors_are_named(cluster, scheduler, web):
    web.what.files["/stalls"] = b"xx"
    before = cluster.agent.metrics()
    fails(scheduler, "the server answered HTTP 404", uri(web.url + "/none"))
    fails(scheduler, "the server answered HTTP 503", uri(web.url + "/status/503/a", cache=True))
    fails(scheduler, "the server answered HTTP 204", uri(web.url + "/status/204/a"))
    fails(scheduler, "not supported", uri(web.url + "/to/file:///etc/passwd"))
    fails(scheduler, "Failed to connect", uri("http://127.0.0.1:1/a"))
    fails(scheduler, "cannot stat", uri("hdfs://host/none"))
    web.what.hold.clear()
    begin = time.monotonic()
    fails(scheduler, "too slow", uri(web.url + "/slow/stalls"))
    assert time.monotonic() - begin < 5
    web.what.hold.set()
    after = cluster.agent.metrics()
    name = "containerizer/fetcher/task_fetches_failed"
    assert after[name] - before[name] == 7


def hostile():
    up, deep = "../" * 12, "d/" * 1500
    yield "dots", "outside", tar_of((up + "tmp/x", FILE, b"x"))
    yield "absolute", "outside", tar_of((SRC + "/evil", FILE, b"x"))
    yield "through a link", "outside", tar_of(("l", LINK, SRC), ("l/evil", FILE, b"x"))
    yield "through links", "outside", tar_of(("a", LINK, "."), ("a/b", LINK, ".."), ("b/evil", FILE, b"x"))
    yield "a folder through a link", "outside", tar_of(("l", LINK, SRC), ("l/evil", DIR, ""))
    yield "a link through a link", "outside", tar_of(("l", LINK, SRC), ("l/evil", LINK, "x"))
    yield "hard link", "outside", tar_of(("h", HARD, SRC + "/canary"))
    yield "hard link by a link", "outside", tar_of(("l", LINK, SRC), ("h", HARD, "l/canary"), ("h", FILE, b"x"))
    yield "folders", "too long", tar_of((deep + "x", FILE, b"x"))
    yield "name", "too long", tar_of(("n" * 65536, FILE, b"x"))
    yield "path", "too long", tar_of(("/".join(["n" * 200] * 300), FILE, b"x"))
    yield "holes", "unpacks to more", sparse(1 << 50)
    yield "cut off", "Truncated", tar_of(("x", FILE, b"x" * 4096))[:2048]


def sparse(size):
    """A file of a thousand terabytes that has no content."""
    i = tarfile.TarInfo("hole")
    i.size = 512
    i.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "hole", "GNU.sparse.realsize": str(size)}
    b = io.BytesIO()
    with tarfile.open(fileobj=b, mode="w", format=tarfile.PAX_FORMAT) as t:
        t.addfile(i, io.BytesIO(("1\n%d\n0\n" % size).encode().ljust(512, b"\0")))
    return b.getvalue()


def test_nothing_leaves_the_sandbox(cluster, scheduler, web):
    canary = src_file("canary", b"sings")
    before = sorted(os.listdir(SRC))
    for i, (what, says, data) in enumerate(hostile()):
        web.what.files["/%d.tar" % i] = data
        end = fails(scheduler, says, uri("%s/%d.tar" % (web.url, i), cache=i % 2 == 0))
        assert len(end["message"]) < 1000, what
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w") as z:
        z.writestr("../evil", "x")
    web.what.files["/x.zip"] = b.getvalue()
    fails(scheduler, "outside", uri(web.url + "/x.zip"))
    for name in ("../evil", "/tmp/evil", "a/../../evil", ".."):
        fails(scheduler, "sandbox", uri(web.url + "/x.zip", output_file=name))
    with open(canary) as f:
        assert f.read() == "sings" and os.stat(canary).st_nlink == 1
    assert sorted(set(os.listdir(SRC)) - {"cache"}) == sorted(set(before) - {"cache"})
    # Through a link that an earlier archive made, too.
    web.what.files.update({"/l.tar": tar_of(("l", LINK, SRC)), "/evil": b"x"})
    fails(scheduler, "l", uri(web.url + "/l.tar"), uri(web.url + "/evil", output_file="l/evil"))
    assert not os.path.exists(SRC + "/evil")


def test_what_is_left_out(scheduler, web):
    web.what.files["/odd.tar"] = tar_of(("su", FILE, b"x", 0o6755), ("c", CHR, ""), ("p", FIFO, ""), ("d", DIR, "", 0o3777),
                                        ("l", LINK, "d"), ("l/in", FILE, b"through a link that stays inside"), ("h", HARD, "su"))
    fine(scheduler, 'test "$(stat -c %a su)" = 755 && test "$(stat -c %a d)" = 777 && test ! -e c && test ! -e p && test -s d/in && '
                    "test h -ef su", uri(web.url + "/odd.tar"))


# ---- the cache ----

def used(cluster):
    return cluster.agent.metrics()["containerizer/fetcher/cache_size_used_bytes"]


def test_the_cache(cluster, scheduler, web):
    web.what.files["/cached"] = b"c" * 1000
    before = used(cluster)
    for _ in range(3):
        fine(scheduler, "test $(stat -c %s cached) = 1000", uri(web.url + "/cached", cache=True))
    assert (web.what.count("HEAD /cached"), web.what.count("GET /cached")) == (1, 1)
    assert used(cluster) - before == 1000
    m = cluster.agent.metrics()
    assert m["containerizer/fetcher/cache_size_total_bytes"] == 1 << 20
    assert m["containerizer/fetcher/task_fetches_succeeded"] >= 3
    # Without being asked to, nothing goes through it.
    fine(scheduler, "true", uri(web.url + "/cached"))
    assert web.what.count("GET /cached") == 2
    # Out of the cache, no archive is left in the sandbox.
    web.what.files["/k.tgz"] = gzip.compress(tar_of(("inner", FILE, b"x")))
    for _ in range(2):
        fine(scheduler, "test -e inner && test ! -e k.tgz", uri(web.url + "/k.tgz", cache=True))
    assert web.what.count("GET /k.tgz") == 1
    for folder, _, names in os.walk(CACHE):
        assert os.stat(folder).st_mode & 0o777 == 0o700
        for name in names:
            assert os.stat(os.path.join(folder, name)).st_mode & 0o777 == 0o600, name


def test_eviction_and_what_is_too_large(cluster, scheduler, web):
    for i in range(4):
        web.what.files["/big%d" % i] = bytes(400 * 1024)
        fine(scheduler, "test -s big%d" % i, uri(web.url + "/big%d" % i, cache=True))
        assert used(cluster) <= 1 << 20
    fine(scheduler, "true", uri(web.url + "/big3", cache=True))
    fine(scheduler, "true", uri(web.url + "/big0", cache=True))
    assert (web.what.count("GET /big3"), web.what.count("GET /big0")) == (1, 2)
    web.what.files["/huge"] = bytes(2 << 20)
    before = used(cluster)
    for _ in range(2):
        fine(scheduler, "test $(stat -c %s huge) = 2097152", uri(web.url + "/huge", cache=True))
    assert web.what.count("GET /huge") == 2 and used(cluster) == before


def test_many_want_the_same(scheduler, web):
    web.what.files["/same"] = b"once"
    web.what.hold.clear()
    tasks = [launch(scheduler, "test -s same", [uri(web.url + "/slow/same", cache=True)]) for _ in range(4)]
    eventually(lambda: web.what.count("GET /slow/same") == 1)
    web.what.hold.set()
    assert [scheduler.end_of(t)["state"] for t in tasks] == ["TASK_FINISHED"] * 4
    assert web.what.count("GET /slow/same") == 1


# ---- in the middle ----

def clients():
    """Processes of the Hadoop client."""
    found = []
    for pid in os.listdir("/proc"):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                if (SRC + "/bin/hadoop").encode() in f.read():
                    found.append(int(pid))
        except OSError:
            pass
    return found


@pytest.fixture
def held():
    src_file("held", b"held")
    src_file("wait", b"")
    yield
    if os.path.exists(HELD):
        os.unlink(HELD)


def test_so_many_at_a_time_and_kill(scheduler, held):
    """Two fetch, one waits for what the first gets, one for a place; killed or not, each ends as it should."""
    def started():
        return calls().count("fs -copyToLocal hdfs://h/held")
    u = uri("hdfs://h/held", cache=True)
    first = launch(scheduler, "cat held", [u])
    eventually(lambda: started() == 1)
    same = launch(scheduler, "test $(cat held) = held", [u])
    second, third = [launch(scheduler, "test $(cat held) = held", [uri("hdfs://h/held")]) for _ in range(2)]
    eventually(lambda: started() == 2)
    # As the client itself says: a process between fork and exec looks like another client.
    time.sleep(0.2)
    assert started() == 2
    scheduler.kill(third)
    assert scheduler.end_of(third)["state"] == "TASK_KILLED"
    scheduler.kill(first)
    assert scheduler.end_of(first)["state"] == "TASK_KILLED"
    os.unlink(HELD)
    assert [scheduler.end_of(t)["state"] for t in (same, second)] == ["TASK_FINISHED"] * 2
    eventually(lambda: not clients())


def test_the_agent_is_killed_while_it_fetches(cluster, scheduler, held, web):
    task = launch(scheduler, "true", [uri("hdfs://other/held", cache=True)])
    eventually(clients)
    cluster.agent.kill9()
    eventually(lambda: not clients())
    cluster.agent.start()
    os.unlink(HELD)
    assert scheduler.end_of(task, 30)["state"] in ("TASK_FAILED", "TASK_LOST", "TASK_GONE")
    assert used(cluster) == 0 and [n for n in os.listdir(CACHE) if n.startswith("c")] == []
    cluster.wait_agents(1)
    fine(scheduler, "test -s held", uri("hdfs://h/held", cache=True))
