"""Debian packages: they build, go into a root, have what they need, run, upgrade, and leave nothing when they are purged.

The root is this machine's own below an overlay in memory (harness/roots.py), so what dpkg's database says of dependencies is true there.
`make vm-packages` does the same under systemd, with tasks that go on."""
import os
import re
import shutil

import pytest

from harness.http import eventually
from harness.roots import Root, run

SECONDS = 30
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NAMES = ["fairlead-agent", "fairlead-cli", "fairlead-master", "fairlead-tools", "libframework-dev", "libframework1"]
FILES = {
    "fairlead-master": ["/usr/sbin/fairlead-master", "/lib/systemd/system/fairlead-master.service", "/etc/fairlead/master.conf",
                        "/etc/default/fairlead-master", "/etc/fairlead-master", "/usr/share/man/man8/fairlead-master.8.gz"],
    "fairlead-agent": ["/usr/sbin/fairlead-agent", "/usr/libexec/fairlead/fairlead-shim", "/usr/libexec/fairlead/fairlead-default-executor",
                       "/usr/libexec/fairlead/fairlead-image", "/usr/libexec/fairlead/fairlead-rootfs",
                       "/usr/libexec/fairlead/fairlead-cni-port-mapper", "/lib/systemd/system/fairlead-agent.service",
                       "/lib/systemd/system/fairlead-agent-cleanup.service", "/etc/fairlead/agent.conf", "/etc/fairlead-agent"],
    "fairlead-cli": ["/usr/bin/fairlead"],
    "fairlead-tools": ["/usr/bin/fairlead-emulator", "/usr/bin/fairlead-loadgen", "/usr/bin/fairlead-allocator-replay",
                       "/usr/share/fairlead/prometheus/fairlead.rules.yml", "/usr/share/fairlead/grafana/fairlead.json"],
    "libframework-dev": ["/usr/include/fairlead/scheduler.h", "/usr/share/man/man3/fairlead_scheduler.3.gz",
                         "/usr/share/doc/libframework-dev/examples/hello.c"],
    "libframework1": [],
}

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("dh"), reason="needs root and debhelper (tools/deps.sh)")


@pytest.fixture(scope="module")
def debs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("debs")
    run(os.path.join(TOP, "tools/deb.sh"), env={**os.environ, "DEB_OUT": str(folder / "1")})
    run(os.path.join(TOP, "tools/deb_upgraded.sh"), str(folder / "1"), str(folder / "2"))
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory, debs):
    r = Root(tmp_path_factory.mktemp("root"), given=debs)
    try:
        r.run("dpkg --force-unsafe-io -i /tmp/given/1/*.deb")
        yield r
    finally:
        r.close()


@pytest.fixture(scope="module")
def cluster(root):
    """As the units start it; in a network of its own, where the ports are free."""
    start = ("mkdir -p /var/lib/fairlead/master && chown fairlead: /var/lib/fairlead/master; echo packages >/etc/fairlead-master/cluster;"
             "echo posix >/etc/fairlead-agent/launcher; touch '/etc/fairlead-agent/?no-hostname_lookup';"
             "F=--flags_file=/etc/fairlead D=--flags_dir=/etc/fairlead;"
             "setpriv --reuid fairlead --regid fairlead --clear-groups fairlead-master $F/master.conf $D-master --ip=127.0.0.1 >/tmp/master.log 2>&1 &"
             "fairlead-agent $F/agent.conf $D-agent --ip=127.0.0.1 --resources='cpus:1;mem:256;disk:100' >/tmp/agent.log 2>&1 &")
    root.run(start)
    eventually(lambda: root.works("fairlead agents | grep -q ' active '"), 60)
    return root


def test_packages_are_what_they_say(debs):
    found = {}
    for path in sorted((debs / "1").glob("*.deb")):
        name, version, depends = run("dpkg-deb", "--showformat=${Package}|${Version}|${Depends}", "-W", str(path)).split("|", 2)
        found[name] = depends
        assert re.match(r"1\.[0-9.]+(\+git[0-9]+\.[0-9a-f]+)?$", version)
    assert sorted(found) == NAMES
    assert "libc6" in found["fairlead-master"] and "libseccomp2" in found["fairlead-agent"]
    assert re.match(r"libframework1 \(= ", found["libframework-dev"])


def test_install(root):
    for name, files in FILES.items():
        listed = root.run("dpkg -L " + name).split()
        assert not [f for f in files if f not in listed], name
        root.run("ls -d " + " ".join(files or ["/"]))
    assert root.run("dpkg --audit") == ""
    assert root.run("dpkg --verify " + " ".join(NAMES)) == ""
    assert root.run("dpkg-query -W -f '${Conffiles}' fairlead-agent").split()[0::2] == ["/etc/default/fairlead-agent", "/etc/fairlead/agent.conf"]


def test_libraries_are_there(root):
    said = root.run("ldd /usr/bin/fairlead* /usr/sbin/fairlead-* /usr/libexec/fairlead/* /usr/lib/*/libframework.so || true")
    assert "libevent" in said and "not found" not in said


def test_the_master_has_a_user(root):
    assert re.match(r"fairlead:x:\d+:\d+:Fairlead master:/var/lib/fairlead:/usr/sbin/nologin", root.run("getent passwd fairlead"))


def test_units_are_right(root):
    said = root.run("systemd-analyze verify --man=no /lib/systemd/system/fairlead-*.service 2>&1 || true")
    assert "fairlead" not in said, said
    assert root.run("ls /etc/systemd/system/multi-user.target.wants | grep fairlead").split() == ["fairlead-agent.service",
                                                                                                 "fairlead-master.service"]


def test_a_program_is_built_with_the_library(root):
    root.run("cc -o /tmp/hello /usr/share/doc/libframework-dev/examples/hello.c $(pkg-config --cflags --libs framework)")
    assert "libframework.so.1 => /lib" in root.run("ldd /tmp/hello").replace("/usr/lib", "/lib")


def test_a_cluster_runs_from_its_files(root, cluster):
    assert cluster.run("fairlead run -- sh -c 'echo $((6*7))'") == "42\n"
    flags = root.run("curl -s 127.0.0.1:5050/flags")
    assert '"cluster":"packages"' in flags and '"flags_dir":"/etc/fairlead-master"' in flags
    assert '"hostname_lookup":"false"' in root.run("curl -s 127.0.0.1:5051/flags")


def test_upgrade(root, cluster):
    root.run("sed -i 's/^#cluster=.*/#edited/' /etc/fairlead/master.conf")
    root.run("dpkg --force-unsafe-io -i /tmp/given/2/*.deb")
    for name in NAMES:
        assert root.run("dpkg-query -W -f '${Version} ${db:Status-Status}' " + name).endswith("+upgraded installed")
    assert "#edited" in root.run("cat /etc/fairlead/master.conf")
    # The old agent has the new programs start its tasks.
    assert root.run("fairlead run -- echo hello") == "hello\n"


def test_removed_and_purged_nothing_is_left(root, cluster):
    root.run("for p in /proc/[0-9]*/exe; do case $(readlink $p) in */fairlead-*) kill -9 $(basename $(dirname $p)) || :;; esac; done")  # one may end with another
    root.run("dpkg -r " + " ".join(NAMES))
    assert root.works("test -f /etc/fairlead/agent.conf && test -d /var/lib/fairlead/agent/meta")
    assert not root.works("test -e /usr/sbin/fairlead-agent")
    root.run("dpkg -P " + " ".join(NAMES))
    assert root.changed("fairlead") == []
    assert not root.works("ls -d /etc/fairlead* /var/lib/fairlead /run/fairlead /lib/systemd/system/fairlead* /var/lib/systemd/*/fairlead*")
    assert root.run("find /usr/lib /usr/include -name '*framework.so*' -o -path '*/include/fairlead'") == ""
