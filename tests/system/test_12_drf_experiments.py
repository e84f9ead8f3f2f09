"""The worked examples of DRF and the three experiments of docs/drf.md, on a real cluster with the demonstration framework."""
import os
import sys

import pytest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tools"))

import drf_experiments as drf  # noqa: E402

SECONDS = 64

SPEED = 20


@pytest.fixture
def lines(tmp_path):
    def run(name):
        return drf.read(drf.run(name, drf.EXPERIMENTS[name], SPEED, str(tmp_path)))
    return run


# M12, D1: where both settle, to the task.
@pytest.mark.parametrize("name, tasks, shares", [("paper", {"A": 3, "B": 2}, {"A": 12 / 18, "B": 6 / 9}),
                                                ("article", {"A": 2, "B": 3}, {"A": 6 / 10, "B": 15 / 20})])
def test_worked_examples(lines, name, tasks, shares):
    settled = {framework: line[-1] for framework, line in lines(name).items()}
    assert {framework: row[1] for framework, row in settled.items()} == tasks
    for framework, share in shares.items():
        assert settled[framework][2] == pytest.approx(share, abs=0.001)


# D2: alone all, two a half, three a third; nobody starves.
def test_equal_demands(lines):
    line = lines("equal")
    alone, two, three = (40, 95), (130, 195), (230, 295)
    assert drf.mean(line["A"], *alone)[0] > 10
    for framework in "AB":
        assert drf.mean(line[framework], *two)[0] == pytest.approx(6, abs=1.2)
    for framework in "ABC":
        assert drf.mean(line[framework], *three)[0] == pytest.approx(4, abs=1.2)
    assert drf.mean(line["A"], 420, 480)[0] > 10


# D3: dominant resources that do not collide fill the cluster; a larger task of B waits longer.
def test_different_demands(lines):
    line = lines("different")
    for framework in "AB":
        assert drf.mean(line[framework], 100, 300)[0] == pytest.approx(2, abs=0.35)


def test_large_tasks_wait(lines):
    line = lines("large")
    assert drf.time_at(line["A"], 2, 60, 300) > 0.5
    assert drf.time_at(line["B"], 1, 60, 300) > 0.5
    assert drf.mean(line["A"], 60, 300)[0] > drf.mean(line["B"], 60, 300)[0]
