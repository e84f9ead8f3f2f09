"""--whitelist: host names that may be offered, from a file that is read again every five seconds."""
import os
import tempfile
import time

from harness.cluster import Cluster
from harness.http import eventually
from harness.scheduler import Scheduler

SECONDS = 16


def hosts(s, since):
    return {o["hostname"] for e in s.events[since:] if e["type"] == "OFFERS" for o in e["offers"]["offers"]}


def test_the_file_is_watched():
    with tempfile.TemporaryDirectory(prefix="fairlead-whitelist-") as folder:
        path = os.path.join(folder, "hosts")

        def write(text):
            with open(path + ".new", "w") as f:
                f.write(text)
            os.rename(path + ".new", path)

        write("one.example\nelsewhere.example\n")
        with Cluster(agents=0, master_flags={"whitelist": path}) as c:
            for name in ("one.example", "two.example"):
                c.add_agent({"hostname": name})
            c.wait_agents(2)
            with Scheduler(c.master.address) as s:
                assert s.offer()["hostname"] == "one.example"
                os.remove(path)  # the list read before holds
                eventually(lambda: "cannot read the file of --whitelist" in c.master.log(), 10)
                assert hosts(s, 0) == {"one.example"}
                write(" two.example\r\n\n")
                eventually(lambda: hosts(s, 0) == {"one.example", "two.example"}, 10)
                write("")
                eventually(lambda: "0 agents are whitelisted" in c.master.log(), 10)
                n = s.mark()
                for o in list(s.held.values()):
                    s.decline(o, seconds=0)
                s.do("REVIVE")
                time.sleep(1)
                assert hosts(s, n) == set()
        with Cluster(master_flags={"whitelist": "*"}) as c, Scheduler(c.master.address) as s:
            s.offer()
