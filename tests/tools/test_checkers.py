"""The checkers find what they are for, and nothing else."""

import os
import subprocess
import textwrap

TOOLS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "tools")


def run(checker, root, *files):
    out = subprocess.run(
        [os.path.join(TOOLS, checker), "--root", str(root), *files], capture_output=True, text=True, check=False)
    assert out.stderr == ""
    assert out.returncode == (1 if out.stdout else 0)
    return out.stdout.splitlines()


def put(root, path, text):
    full = root / path
    full.parent.mkdir(parents=True, exist_ok=True)
    full.write_text(textwrap.dedent(text))


def test_layers_upward_and_sideways(tmp_path):
    put(tmp_path, "common/base/a.c", '#include "common/model/roles.h"\n')
    put(tmp_path, "common/wire/a.c", '#include "common/coord/store.h"\n')
    put(tmp_path, "master/a.c", '#include "agent/flags.h"\n#include "master/api/x.h"\n#include "common/wire/wire.h"\n')
    put(tmp_path, "common/model/a.c", '/*\n#include "master/master.h"\n*/\n#include "proto/mesos.pb-c.h"\n')
    put(tmp_path, "tests/unit/a.c", '#include "master/master.h"\n')
    found = run("check_layers.py", tmp_path)
    assert [f.split(": ")[0] for f in found] == ["common/base/a.c:1", "common/wire/a.c:1", "master/a.c:1"]


def test_layers_rooms_of_libraries(tmp_path):
    put(tmp_path, "common/base/a.c", "#include <event2/event.h>\n#include <openssl/ssl.h>\n")
    put(tmp_path, "common/wire/a.c", "#include <event2/event.h>\n")
    put(tmp_path, "common/coord/a.c", "#include <lmdb.h>\n")
    put(tmp_path, "master/a.c", "#include <lmdb.h>\n#include <zookeeper/zookeeper.h>\n")
    put(tmp_path, "agent/a.c", '#include "x"\n#include <libcgroup.h>\n')
    found = run("check_layers.py", tmp_path)
    assert [f.split(": ")[0] for f in found] == ["agent/a.c:2", "common/wire/a.c:1", "master/a.c:1", "master/a.c:2"]


def test_bans_see_calls_only(tmp_path):
    put(tmp_path, "agent/a.c", r"""
        /* strcpy(a, b) in a comment */
        #define TEXT "strcat(a, b)"
        // atoi(x)
        static int my_strcpy(char *a);
        int f(struct x *ops) {
            ops->open("x", 0);
            my_strcpy("\"sprintf(");
            char c = '"'; strcpy(a, "x"); char d = '"';
            dup2(1, 2);
            return atoi ("7");
        }
        """)
    found = run("check_bans.py", tmp_path)
    assert [f.split(";")[0] for f in found] == [
        "agent/a.c:9: calls strcpy()", "agent/a.c:11: calls atoi()"]


def test_bans_exit_and_cores(tmp_path):
    put(tmp_path, "master/main.c", "int main(void) { exit(1); time(NULL); }\n")
    put(tmp_path, "master/offers.c", "void f(void) { exit(1); _exit(2); time(NULL); x->time(1); }\n")
    put(tmp_path, "tests/unit/a.c", "void f(void) { exit(1); system(x); open(a, b); }\n")
    put(tmp_path, "libframework/a.c", "void *f(void) { return malloc(7); }\n")
    put(tmp_path, "agent/a.c", "void *f(void) { return malloc(7); }\n")
    found = run("check_bans.py", tmp_path)
    assert [f.split(";")[0] for f in found] == [
        "agent/a.c:1: calls malloc()",
        "master/offers.c:1: calls exit() outside a main file",
        "master/offers.c:1: calls time() in a core"]


def test_bans_leave_the_file_its_own_names(tmp_path):
    put(tmp_path, "cli/a.c", """
        static int accept(struct offer *o)
        {
            return kill(o);
        }
        int f(void) { return accept(o); }
        """)
    put(tmp_path, "cli/b.c", "int f(void) { return accept(o); }\n")
    assert [f.split(":")[0] for f in run("check_bans.py", tmp_path)] == ["cli/b.c"]


def test_bans_descriptors(tmp_path):
    put(tmp_path, "cli/a.c", """
        int f(void) {
            signal(SIGPIPE, SIG_IGN);
            open(p, O_RDONLY | O_CLOEXEC); open(p, O_RDONLY);
            socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            accept(fd, NULL, NULL);
            fopen(p, "re"); fopen(p, "r");
        }
        """)
    found = run("check_bans.py", tmp_path)
    assert [f.split(":")[1] for f in found] == ["4", "6", "7"]


def test_sizes(tmp_path):
    body = "    x++;\n"
    put(tmp_path, "agent/a.c", "struct s {\n" + "int a;\n" * 100 + "};\nint f(int x)\n{\n" + body * 78 + "}\n"
        + "static const char *g(void)\n{\n    char *s = \"}\";\n" + body * 78 + "}\n")
    put(tmp_path, "agent/b.c", "int x;\n" * 1001)
    put(tmp_path, "agent/c.c", "int x;\n" * 1000)
    found = run("check_sizes.py", tmp_path)
    assert [f.split(" lines")[0] for f in found] == [
        "agent/a.c:185: g() has 81", "agent/b.c:1: has 1001"]


def test_paths(tmp_path):
    home = "/ho" + "me/someone"
    put(tmp_path, "tools/x.sh", f"cd {home}/x\ncd /etc/passwd\nURL=http://host{home}\n")
    found = run("check_paths.py", tmp_path)
    assert [f.split(": ")[0] for f in found] == ["tools/x.sh:1"]


def test_allow_list(tmp_path):
    put(tmp_path, "agent/a.c", "int f(void) { return atoi(x) + atol(x); }\n")
    put(tmp_path, "tools/lint_allow.txt", "# head\nbans agent/a.c atoi a reason of words\n")
    assert [f.split(";")[0] for f in run("check_bans.py", tmp_path)] == ["agent/a.c:1: calls atol()"]
    put(tmp_path, "tools/lint_allow.txt",
        "bans agent/a.c atoi reason\nbans agent/a.c atol reason\nbans agent/a.c strtol reason\nbans agent/a.c x\n")
    assert [f.split(": ")[0] for f in run("check_bans.py", tmp_path)] == [
        "tools/lint_allow.txt:4", "tools/lint_allow.txt:3"]


def test_files_given(tmp_path):
    put(tmp_path, "agent/a.c", "int f(void) { return atoi(x); }\n")
    put(tmp_path, "agent/b.c", "int f(void) { return atoi(x); }\n")
    assert len(run("check_bans.py", tmp_path, "agent/b.c")) == 1
