"""The runners count right, and a run that breaks is a failure."""

import importlib.util
import json
import os
import subprocess
import sys
import textwrap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def run_pytest(folder, *arguments, **env):
    out = subprocess.run(
        [os.path.join(ROOT, "tools/run_pytest.sh"), str(folder), *arguments],
        capture_output=True, text=True, check=False, env={**os.environ, **env})
    return out.returncode, out.stdout.splitlines()[-1], out.stdout


def put(folder, name, text):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(textwrap.dedent(text))


def test_run_pytest_counts(tmp_path):
    put(tmp_path / "mixed", "test_a.py", """
        import pytest
        def test_good(): pass
        def test_good_too(): pass
        def test_bad(): assert False
        @pytest.fixture
        def broken(): raise OSError
        def test_error(broken): pass
        def test_skip(): pytest.skip("no root")
        """)
    rc, line, text = run_pytest(tmp_path / "mixed")
    assert (rc, line) == (1, "mixed: 2 passed, 2 failed, 1 skipped")
    assert "no root" in text


def test_run_pytest_clean_empty_and_broken(tmp_path):
    put(tmp_path / "good", "test_a.py", "def test_good(): pass\n")
    assert run_pytest(tmp_path / "good")[:2] == (0, "good: 1 passed, 0 failed, 0 skipped")
    put(tmp_path / "empty", "x.py", "")
    assert run_pytest(tmp_path / "empty")[:2] == (0, "empty: 0 passed, 0 failed, 0 skipped")
    put(tmp_path / "broken", "test_a.py", "def test_good(: pass\n")
    assert run_pytest(tmp_path / "broken")[:2] == (1, "broken: 0 passed, 1 failed, 0 skipped")
    put(tmp_path / "hangs", "test_a.py", "import time\ndef test_hangs(): time.sleep(60)\n")
    assert run_pytest(tmp_path / "hangs", PYTEST_TIMEOUT="1")[:2] == (1, "hangs: 0 passed, 1 failed, 0 skipped")


def test_files_side_by_side(tmp_path):
    """Two files that wait for each other end only together; the one that is alone starts when both have ended, though it takes long."""
    folder = tmp_path / "many"
    meet = """
        import os, time
        HERE = os.path.dirname(__file__)
        def test_meet():
            open(HERE + "/%s", "w").close()
            end = time.monotonic() + 20
            while not os.path.exists(HERE + "/%s"):
                assert time.monotonic() < end
                time.sleep(0.01)
            time.sleep(0.2)
            open(HERE + "/%s.over", "w").close()
        """
    put(folder, "test_a.py", meet % ("a", "b", "a"))
    put(folder, "test_b.py", meet % ("b", "a", "b"))
    put(folder, "test_c.py", """
        import os
        ALONE = "it asks who has ended"
        SECONDS = 100
        def test_after():
            assert all(os.path.exists(os.path.dirname(__file__) + "/%s.over" % x) for x in "ab")
        """)
    rc, line, text = run_pytest(folder, PYTEST_JOBS="2")
    assert (rc, line) == (0, "many: 3 passed, 0 failed, 0 skipped"), text


def test_files_that_fail(tmp_path):
    """A test that fails once is run again; a file that cannot be read, or that ends its pytest, stays a failure beside it."""
    folder = tmp_path / "many"
    put(folder, "test_a.py", """
        import os
        def test_once():
            mark = os.path.dirname(__file__) + "/mark"
            first = not os.path.exists(mark)
            open(mark, "w").close()
            assert not first
        def test_good(): pass
        """)
    rc, line, text = run_pytest(folder)
    assert (rc, line) == (0, "many: 2 passed, 0 failed, 0 skipped") and "AGAIN " in text, text
    os.unlink(folder / "mark")
    put(folder, "test_b.py", "def test_good(: pass\n")
    rc, line, text = run_pytest(folder)
    assert (rc, line) == (1, "many: 2 passed, 1 failed, 0 skipped"), text
    put(folder, "test_c.py", "import os\ndef test_ends(): os._exit(7)\n")
    rc, line, text = run_pytest(folder)
    assert (rc, line) == (1, "many: 2 passed, 2 failed, 0 skipped") and "status 7" in text, text
    assert run_pytest(folder, "-k", "nothing_has_this_name")[0] == 1
    os.unlink(folder / "test_b.py")
    os.unlink(folder / "test_c.py")
    assert run_pytest(folder, "-k", "test_good")[:2] == (0, "many: 1 passed, 0 failed, 0 skipped")


def load_bench():
    spec = importlib.util.spec_from_file_location("bench", os.path.join(ROOT, "tools/bench.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_bench_lines():
    found, rest = load_bench().parse("place.p50_us 310 us\nevents_s 1.5e5 1/s\nhello world\nkey 12\n")
    assert found == [("place.p50_us", 310.0, "us"), ("events_s", 150000.0, "1/s")]
    assert rest == ["hello world", "key 12"]


def test_bench_runs_and_merge(tmp_path):
    bench = load_bench()
    command = [sys.executable, "-c", "print('a.b 2 us')"]
    assert bench.run(command, 3, 60) == {"a.b": ("us", [2.0, 2.0, 2.0])}
    own = [sys.executable, "-c", "print('a.b 2 us'); print('a.b 4 us')"]
    assert bench.run(own, 3, 60) == {"a.b": ("us", [2.0, 4.0])}
    assert bench.run([sys.executable, "-c", "raise SystemExit(1)"], 3, 60) is None
    path = str(tmp_path / "build" / "bench.json")
    bench.merge(path, {"a": {"value": 1}})
    bench.merge(path, {"b": {"value": 2}})
    with open(path, encoding="utf-8") as f:
        assert json.load(f) == {"a": {"value": 1}, "b": {"value": 2}}


def test_manual_page_of_a_header(tmp_path):
    header = tmp_path / "thing.h"
    header.write_text(textwrap.dedent("""
        /* fairlead/thing.h - things.
         *
         * First. Second:
         *   kept    as is
         */
        #ifndef X
        #define FW_PUBLIC
        extern "C" {
        typedef struct thing thing; /* opaque */
        /* ---- making ---- all of them */
        /* Begins before. */
        FW_PUBLIC thing *
        thing_new(const char *name,
                  int n);
        FW_PUBLIC int thing_a(void);
        FW_PUBLIC int thing_b(void); /* behind */
        }
        #endif
        """).lstrip())
    out = subprocess.run([os.path.join(ROOT, "tools/gen_header_man.py"), str(header)], capture_output=True, text=True, check=True)
    page = out.stdout
    assert ".Nm fairlead_thing\n.Nd things\n" in page
    assert "First.\nSecond:\n.Bd -literal\n  kept    as is\n.Ed\n" in page
    assert ".Ss Making\nall of them\n.Bd -literal\nthing *thing_new(const char *name, int n);\n.Ed\nBegins before.\n" in page
    assert "int thing_a(void);\nint thing_b(void);\n.Ed\nbehind\n" in page
    assert "FW_PUBLIC" not in page and "extern" not in page
