"""Images of registries: Debian's docker-registry, passwords and tokens, lists of manifests, redirections, what breaks on the way; pulls that
are killed; pruning."""
import gzip
import hashlib
import io
import json
import os
import random
import subprocess
import tarfile
import threading
import time

import pytest

from harness import images
from harness.cluster import BIN, Cluster
from harness.http import eventually, get, post_json
from harness.scheduler import Scheduler, b64
from test_32_images import agent_flags, container, mounted, provisioned, run_image, store

pytestmark = [pytest.mark.root,
              pytest.mark.skipif(bool(images.missing()), reason="needs docker-registry, skopeo, umoci, busybox-static")]

BCRYPT = "$2y$04$pfa7HUw3g1RAPiZ057XYju05XsY.d4voBA14YWuPTz/WX5ZOR1Pi2"


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    made = images.Layout(str(tmp_path_factory.mktemp("images")) + "/layout")
    made.base("one", images.second)
    return made


@pytest.fixture(scope="module")
def registry(tmp_path_factory, layout):
    r = images.Registry(str(tmp_path_factory.mktemp("registry")))
    try:
        layout.push("one", r.host + "/team/one:latest")
        layout.push("one", r.host + "/docker2:v1", "--format", "v2s2")
        yield r
    finally:
        r.stop()


@pytest.fixture(scope="module")
def world(registry):
    with Cluster(agents=0) as c:
        c.add_agent(agent_flags(c.folder, docker_registry="http://" + registry.host, fetcher_stall_timeout="2secs",
                                docker_config=images.docker_config("127.0.0.1:1", "nobody", "nothing")))
        c.wait_agents(1)
        with Scheduler(c.master.address, checkpoint=True, failover_timeout=60.0) as s:
            yield c, s


@pytest.fixture
def front(request):
    """Makes fronts that are gone after the test."""
    made = []

    def make(kind, *args, **more):
        made.append(kind(*args, **more))
        return made[-1]
    yield make
    for f in made:
        f.stop()


class Helper:
    """fairlead-image and fairlead-rootfs by themselves, with a store of their own."""

    def __init__(self, folder):
        self.store = folder + "/own"
        for d in ("layers", "images", "staging", "gc"):
            os.makedirs("%s/%s" % (self.store, d))

    def start(self, **request):
        program = "fairlead-rootfs" if request["do"] in ("root", "destroy") else "fairlead-image"
        p = subprocess.Popen([os.path.join(BIN, program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             start_new_session=True)
        p.stdin.write((json.dumps(dict({"store": self.store, "stall_us": 2000000}, **request)) + "\n").encode())
        p.stdin.flush()
        return p

    def do(self, **request):
        """The answer, or the reason why not as a text."""
        p = self.start(**request)
        out, err = p.stdout.read(), p.stderr.read()
        p.stdin.close()
        return json.loads(out) if p.wait() == 0 else err.decode()

    def pull(self, name, registry, **more):
        return self.do(do="pull", name=name, registry="http://" + registry.host, **more)

    def list(self, what):
        return sorted(os.listdir("%s/%s" % (self.store, what)))


@pytest.fixture
def helper(tmp_path):
    return Helper(str(tmp_path))


# ---- through the agent ----

def test_pull_and_cache(world, registry):
    c, _ = world
    out = run_image(world, "team/one", "cat /etc/release; ls /hidden; ls -d /gone || echo no")
    assert out.split() == ["second", "new", "no"]
    asked = registry.requests("/manifests/")
    run_image(world, "team/one")
    assert registry.requests("/manifests/") == asked
    blobs = registry.requests("/blobs/")
    run_image(world, "team/one", image={"cached": False})
    assert registry.requests("/manifests/") == asked + 1
    assert registry.requests("/blobs/") == blobs + 1  # the configuration; the layers are there
    assert store(c, "staging") == []


def test_names(world, registry):
    digest = get(registry.host, "/v2/team/one/manifests/latest",
                 Accept="application/vnd.oci.image.manifest.v1+json").headers["docker-content-digest"]
    for name in ("%s/team/one" % registry.host, "team/one@" + digest, "docker2:v1"):
        assert run_image(world, name, "cat /etc/release") == "second\n"
    end = run_image(world, "team/one@sha256:" + "0" * 64, expect="TASK_FAILED")
    assert "has no manifest" in end["message"]


def test_one_pull_for_many(world, registry, front):
    c, s = world
    f = front(images.Front, registry, lambda h: images.slowly(h, f.fetch(h), 0.5) if "/blobs/" in h.path else False)
    offer = s.offer(cpus=1)
    tasks = [s.task(offer, "cat /etc/release", container=container(f.host + "/team/one")) for _ in range(4)]
    s.launch(offer, *tasks)
    for t in tasks:
        assert s.end_of(t["task_id"]["value"])["state"] == "TASK_FINISHED"
    assert sum("/manifests/" in path for path, _, _ in f.asked) == 1


def test_kill_ends_the_pull(world, registry, front):
    c, s = world
    begun = threading.Event()

    def never(h):
        begun.set()
        time.sleep(1.5)
        return h.send(500)
    f = front(images.Front, registry, never)
    offer = s.offer(cpus=0.1)
    t = s.task(offer, "true", container=container(f.host + "/team/one"))
    s.launch(offer, t)
    assert begun.wait(10)
    mark = time.monotonic()
    s.kill(t["task_id"]["value"])
    assert s.end_of(t["task_id"]["value"])["state"] in ("TASK_KILLED", "TASK_FAILED")
    assert time.monotonic() - mark < 1.4
    eventually(lambda: store(c, "staging") == [] and provisioned(c) == [])


def test_credentials(world, registry, front, layout):
    f = front(images.TokenFront, registry, "me", "secret", lifetime=2)

    def image(config):
        return {"docker": {"name": f.host + "/team/one", "config": {"type": "VALUE", "value": {"data": b64(config)}}}, "cached": False}
    end = run_image(world, "x", expect="TASK_FAILED", image=image(images.docker_config(f.host, "me", "wrong")))
    assert "token server" in end["message"] and "wrong" not in end["message"]
    assert run_image(world, "x", "cat /etc/release", image=image(images.docker_config(f.host, "me", "secret"))) == "second\n"
    with open(world[0].agent.log_path) as log:
        assert "secret" not in log.read()


# ---- the helper by itself ----

def test_basic(tmp_path, layout, helper):
    # "secret", by bcrypt with the least cost, which is all that the registry takes
    (tmp_path / "htpasswd").write_text("me:%s\n" % BCRYPT)
    r = images.Registry(str(tmp_path / "r"), {"htpasswd": {"realm": "here", "path": str(tmp_path / "htpasswd")}})
    try:
        layout.push("one", r.host + "/one:v1", "--dest-creds", "me:secret")
        assert "wants credentials" in helper.pull("one:v1", r)
        assert "check the credentials" in helper.pull("one:v1", r, user="me", password="wrong")
        assert "layers" in helper.pull("one:v1", r, default_config=images.docker_config(r.host, "me", "secret"))
        assert helper.list("staging") == []
    finally:
        r.stop()


def test_redirect_gets_no_credentials(registry, front, helper):
    other = front(images.Front, registry)

    def send_away(h):
        if h.headers.get("Authorization") != images.basic("me", "secret"):
            return h.send(401, WWW_Authenticate='Basic realm="x"')
        if "/blobs/" in h.path:
            return h.send(307, Location="http://%s%s" % (other.host, h.path))
        return False
    f = front(images.Front, registry, send_away)
    assert "layers" in helper.pull("team/one", f, user="me", password="secret")
    assert other.asked and all(a is None for _, a, _ in other.asked)


@pytest.mark.parametrize("has_ranges", [True, False])
def test_resume_and_retry(registry, front, helper, has_ranges):
    seen = {}

    def broken(h):
        """Of each layer the first answer is an error, the second breaks off, the rest is right."""
        if "/blobs/" not in h.path:
            return False
        if not has_ranges:
            del h.headers["Range"]
        n = seen[h.path] = seen.get(h.path, 0) + 1
        if n == 1:
            return h.send(503)
        if n == 2:
            a = f.fetch(h)
            h.send_response(200)
            h.send_header("Content-Length", str(len(a.body)))
            h.end_headers()
            h.wfile.write(a.body[:len(a.body) // 2])
            h.close_connection = True
            return True
        return False
    f = front(images.Front, registry, broken)
    assert "layers" in helper.pull("team/one", f)
    ranges = [r for _, _, r in f.asked if r]
    assert ranges and all(r.startswith("bytes=") and r != "bytes=0-" for r in ranges)


def test_wrong_bytes(registry, front, helper):
    def change(h):
        if "/blobs/" not in h.path:
            return False
        a = f.fetch(h)
        return h.send(200, a.body[:-1] + bytes([a.body[-1] ^ 1]))
    f = front(images.Front, registry, change)
    assert "digest" in helper.pull("team/one", f)
    g = front(images.Front, registry, lambda h: h.send(200, f.fetch(h).body + b" ") if "/manifests/" in h.path else False)
    digest = get(registry.host, "/v2/team/one/manifests/latest",
                 Accept="application/vnd.oci.image.manifest.v1+json").headers["docker-content-digest"]
    assert "digest" in helper.pull("team/one@" + digest, g)
    assert helper.list("staging") == helper.list("layers") == helper.list("images") == []


def test_stall(registry, front, helper):
    over = threading.Event()

    def stand_still(h):
        h.send_response(200)
        h.send_header("Content-Length", "1000")
        h.end_headers()
        h.wfile.flush()
        over.wait(20)
        return True
    f = front(images.Front, registry, stand_still)
    p = helper.start(do="pull", name="team/one", registry="http://" + f.host, stall_us=1000000)
    try:
        # The first of its attempts has been given up.
        eventually(lambda: len(f.asked) >= 2, 10)
    finally:
        over.set()
        p.kill()
        p.wait()


class Made:
    """An image that never was in a registry: blobs and manifests by digest."""

    def __init__(self):
        self.blobs = {}
        self.tags = {}

    def put(self, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return {"digest": digest, "size": len(data), "mediaType": "application/octet-stream"}

    def image(self, *layers):
        """Layers are plain tar archives."""
        config = {"os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(t).hexdigest() for t in layers]}}
        return self.put(json.dumps({"schemaVersion": 2, "config": self.put(json.dumps(config).encode()),
                                    "layers": [self.put(gzip.compress(t)) for t in layers]}).encode())

    def answer(self, h):
        what = h.path.split("/")[-1]
        data = self.blobs.get(self.tags.get(what, what))
        return h.send(200, data) if data is not None else h.send(404, b'{"errors":[{"message":"none here"}]}')


def archive(*entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            if data.startswith("->"):
                info.type, info.linkname = tarfile.SYMTYPE, data[2:]
                t.addfile(info)
            else:
                info.size = len(data)
                t.addfile(info, io.BytesIO(data.encode()))
    return out.getvalue()


def test_manifest_list(front, helper):
    m = Made()
    good, other = m.image(archive(("a", "1"))), m.image(archive(("b", "2")))
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    m.tags["latest"] = m.put(json.dumps({"schemaVersion": 2, "manifests": [
        dict(other, platform={"os": "linux", "architecture": "vax"}), dict(good, platform={"os": "linux", "architecture": machine})]}).encode())["digest"]
    m.tags["foreign"] = m.put(json.dumps({"schemaVersion": 2, "manifests": [
        dict(other, platform={"os": "linux", "architecture": "vax"})]}).encode())["digest"]
    m.tags["old"] = m.put(b'{"schemaVersion":1,"fsLayers":[]}')["digest"]
    f = front(images.Front, None, m.answer)
    assert helper.pull("app", f)["manifest"] == good["digest"]
    assert "no variant for linux" in helper.pull("app:foreign", f)
    assert "schema 1" in helper.pull("app:old", f)
    assert "none here" in helper.pull("app:none", f)


def test_hostile_layers(front, helper, tmp_path):
    m = Made()
    outside = tmp_path / "outside"
    outside.mkdir()
    for tag, layer in (("dots", archive(("../../../../out", "x"))), ("link", archive(("l", "->" + str(outside)), ("l/in", "x"))),
                       ("white", archive((".wh...", "")))):
        m.tags[tag] = m.image(layer)["digest"]
    lying = json.loads(m.blobs[m.image(archive(("a", "1")))["digest"]])
    lying["layers"] = [m.put(gzip.compress(archive(("a", "2"))))]
    m.tags["lying"] = m.put(json.dumps(lying).encode())["digest"]
    f = front(images.Front, None, m.answer)
    assert "outside" in helper.pull("app:dots", f)
    assert "unpack" in helper.pull("app:link", f) or "folder of" in helper.pull("app:link", f)
    assert "whiteout" in helper.pull("app:white", f)
    assert "its image says" in helper.pull("app:lying", f)
    assert list(outside.iterdir()) == []
    assert helper.list("staging") == helper.list("layers") == helper.list("images") == []


def test_many_layers(front, helper, tmp_path):
    """More than fit into the kernel's page of mount options by their paths."""
    m = Made()
    m.tags["latest"] = m.image(*[archive(("f%d" % i, str(i)), ("same", str(i))) for i in range(120)])["digest"]
    f = front(images.Front, None, m.answer)
    record = helper.pull("app", f)
    folder = str(tmp_path / "c")
    try:
        for backend in ("overlay", "copy"):
            assert helper.do(do="root", folder=folder, backend=backend, id="r", layers=record["layers"]) == {}
            root = "%s/backends/%s/rootfses/r" % (folder, backend)
            assert len(os.listdir(root)) == 121
            with open(root + "/same") as same:
                assert same.read() == "119"
    finally:
        assert helper.do(do="destroy", folder=folder) == {}
    assert not os.path.exists(folder)


def test_bind(front, helper, tmp_path):
    m = Made()
    m.tags["one"] = m.image(archive(("a", "1")))["digest"]
    m.tags["two"] = m.image(archive(("a", "1")), archive(("b", "2")))["digest"]
    f = front(images.Front, None, m.answer)
    folder = str(tmp_path / "c")
    try:
        record = helper.pull("app:one", f)
        assert helper.do(do="root", folder=folder, backend="bind", id="r", layers=record["layers"]) == {}
        with open(folder + "/backends/bind/rootfses/r/a") as a:
            assert a.read() == "1"
        with pytest.raises(OSError):
            open(folder + "/backends/bind/rootfses/r/new", "w")
        record = helper.pull("app:two", f)
        assert "takes one" in helper.do(do="root", folder=folder, backend="bind", id="s", layers=record["layers"])
    finally:
        assert helper.do(do="destroy", folder=folder) == {}
    assert not os.path.exists(folder)
    assert helper.list("layers") == sorted(record["layers"])


def test_killed_at_any_instant(registry, front, helper):
    """A pull that is killed leaves whole layers only; what is staged goes with the next cleaning."""
    f = front(images.Front, registry, lambda h: images.slowly(h, f.fetch(h), 0.02) if "/blobs/" in h.path else False)
    whole = {}
    for i in range(20):
        p = helper.start(do="pull", name="team/one", registry="http://" + f.host)
        time.sleep(random.random() * 0.15)
        if i % 2:
            p.stdin.close()  # the agent dies
        else:
            p.kill()
        p.wait()
        assert helper.do(do="clean") == {}
        assert helper.list("staging") == []
        for layer in helper.list("layers"):
            files = sorted(os.path.join(d, n) for d, ds, fs in os.walk("%s/layers/%s" % (helper.store, layer)) for n in ds + fs)
            assert whole.setdefault(layer, files) == files
        if i % 5 == 4:
            assert helper.do(do="prune", containers=helper.store + "/none") == {}
            assert helper.list("layers") == helper.list("images") == []
    assert "layers" in helper.pull("team/one", f)
    for layer in helper.list("layers"):
        assert whole.get(layer) in (None, sorted(os.path.join(d, n) for d, ds, fs in os.walk("%s/layers/%s" % (helper.store, layer))
                                                 for n in ds + fs))


def test_damaged_store(registry, helper):
    record = helper.pull("team/one", registry)
    name = helper.list("images")[0]
    with open("%s/images/%s" % (helper.store, name), "w") as f:
        f.write('{"name":"team/one","layers":[')
    assert helper.do(do="clean") == {}
    assert helper.list("images") == []
    assert helper.pull("team/one", registry) == record
    os.rename("%s/layers/%s" % (helper.store, record["layers"][0]), helper.store + "/away")
    assert helper.do(do="clean") == {}
    assert helper.list("images") == []
    assert helper.pull("team/one", registry) == record
    assert helper.list("layers") == sorted(record["layers"])


# ---- pruning ----

def prune(c, *names):
    body = {"excluded_images": [{"type": "DOCKER", "docker": {"name": n}} for n in names]}
    return post_json(c.agent.address, "/api/v1", {"type": "PRUNE_IMAGES", "prune_images": body}).status


def test_prune(world, registry, layout):
    c, s = world
    run_image(world, "docker2:v1")
    t, _ = s.run("sleep 1000", container=container("team/one"))
    both = store(c, "layers")
    assert prune(c) == 200
    assert store(c, "layers") == both  # they are the same image's, and it runs
    # A restarted agent still knows.
    c.agent.stop()
    c.agent.start()
    c.wait_agents(1)
    assert prune(c) == 200
    assert store(c, "layers") == both
    assert s.states(t)[-1] == "TASK_RUNNING"
    s.kill(t)
    s.end_of(t)
    eventually(lambda: provisioned(c) == [])
    assert prune(c, "docker2:v1") == 200
    assert store(c, "layers") == both
    assert prune(c) == 200
    assert store(c, "layers") == store(c, "images") == store(c, "gc") == []
    assert run_image(world, "team/one", "cat /etc/release") == "second\n"
    assert post_json(c.agent.address, "/api/v1", {"type": "PRUNE_IMAGES"}).status == 200
    assert prune(c, "../x") == 400


def test_collected_by_itself(registry):
    gc = {"image_disk_headroom": 1.0, "image_disk_watch_interval": {"nanoseconds": 200000000},
          "excluded_images": [{"type": "DOCKER", "docker": {"name": "docker2:v1"}}]}
    with Cluster(agents=0) as c:
        c.add_agent(agent_flags(c.folder, docker_registry="http://" + registry.host, image_gc_config=json.dumps(gc),
                                image_provisioner_backend="copy"))
        c.wait_agents(1)
        with Scheduler(c.master.address) as s:
            run_image((c, s), "team/one", "cat /etc/release")
            run_image((c, s), "docker2:v1")
            eventually(lambda: len(store(c, "images")) == 1)
            assert store(c, "layers")
            assert mounted(c) == []


def test_shared_store(world, registry):
    """While two agents use a store, neither knows what the other's containers need."""
    c, _ = world
    other = c.add_agent(dict(c.agent.flags, port=c.ports[2], work_dir=c.folder + "/other", runtime_dir=c.folder + "/other-run",
                             cgroups_root="fairlead-other-%d" % c.ports[2]))
    try:
        c.wait_agents(2)
        assert prune(c) == 409
    finally:
        other.stop()
    assert prune(c) == 200
