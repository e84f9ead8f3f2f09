"""make kills: the agent killed with -9 a thousand times at random instants, and what is left afterwards (nothing). KILLS, KILLS_SEED."""
import os
import random
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))

from harness.kills import Killed  # noqa: E402

COUNT = int(os.environ.get("KILLS", "1000"))
SEED = int(os.environ.get("KILLS_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)


def main():
    print("seed %d, %d kills" % (SEED, COUNT), flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fairlead-kills-") as folder:
        with Killed(folder, SEED, lambda text: print("%.0f s: %s" % (time.monotonic() - began, text), flush=True)) as k:
            found = k.run(COUNT)
            found["quiet leaks"], found["descriptors"] = k.quiet()
            for name, value in found.items():
                print("%s: %s" % (name, value))
            bad = {n: found[n] for n in ("leaks", "twice", "errors", "quiet leaks", "descriptors") if found[n]}
            if bad:
                with open("/tmp/fairlead-kills-%d.log" % SEED, "w") as f:
                    f.write(k.c.master.log() + "\n----\n" + k.c.agent.log())
                print("logs: /tmp/fairlead-kills-%d.log" % SEED)
    print("ok" if not bad else "FAILED: %s" % ", ".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
