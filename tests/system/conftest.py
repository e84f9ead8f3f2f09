"""One cluster for the tests of a file; what a test breaks it starts for itself."""
import os

import pytest

from harness.cluster import AS_ROOT, Cluster
from harness.scheduler import Scheduler


@pytest.fixture(scope="module")
def cluster(request):
    """A master and the agents that the file asks for with AGENTS, MASTER_FLAGS and AGENT_FLAGS."""
    m = request.module
    with Cluster(getattr(m, "AGENTS", 1), getattr(m, "MASTER_FLAGS", None), getattr(m, "AGENT_FLAGS", None)) as c:
        yield c


@pytest.fixture
def scheduler(cluster):
    """A framework without capabilities, gone after the test."""
    with Scheduler(cluster.master.address) as s:
        yield s


@pytest.fixture
def aware(cluster):
    """A framework that can be told that tasks are unreachable, and that tasks are being killed."""
    with Scheduler(cluster.master.address, ["PARTITION_AWARE", "TASK_KILLING_STATE"]) as s:
        yield s


@pytest.fixture
def window(world):
    """The page of the file's `world` (harness/browser.py), which asks nobody but its master."""
    with world.browser.window(world.c.master.address) as w:
        yield w
        w.only_the_master()


@pytest.fixture(autouse=True)
def root_or_skip(request):
    if request.node.get_closest_marker("root") and not AS_ROOT:
        pytest.skip("needs root: other users, cgroups or namespaces")


def pytest_configure(config):
    config.addinivalue_line("markers", "root: needs root")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """What the daemons of the file's cluster said last, under a failure."""
    outcome = yield
    report = outcome.get_result()
    args = getattr(item, "funcargs", {})
    c = args.get("cluster") or (args["own"][0] if "own" in args else None)
    if report.failed and isinstance(c, Cluster) and os.path.exists(c.master.log_path):  # which is gone when the last test's end failed
        report.sections.append(("daemons", c.logs()[-3000:]))
    window = args.get("window")
    if report.failed and window is not None:
        window.shot("failed-" + item.name)
