"""A scheduler that takes one task of a fixed demand from every offer that has room for it and gives the rest back at once; what is too
small, or more than it wants, it declines. Tasks sleep."""
import threading
import time

from .scheduler import Scheduler, amount


class Greedy(Scheduler):
    def __init__(self, address, role, cpus, mem, limit=None, name=None):
        super().__init__(address, ["MULTI_ROLE", "RESERVATION_REFINEMENT"], roles=[role], name=name or role.replace("/", "."))
        self.role = role
        self.cpus = cpus
        self.mem = mem
        self.limit = limit
        self.tasks = 0
        self.seen = []  # every offer
        self.over = False
        self.worker = None

    def fits(self, offer):
        return amount(offer, "cpus") + 1e-6 >= self.cpus and amount(offer, "mem") + 1e-6 >= self.mem

    def take(self):
        """Answers what is held, in a thread of its own: the reader must go on reading."""
        while not self.over:
            with self.lock:
                if not self.held:
                    self.lock.wait(0.1)
                offers = list(self.held.values())
            for o in offers:
                self.seen.append(o)
                if not self.fits(o):
                    self.decline(o, 1.0)
                elif self.limit is not None and self.tasks >= self.limit:
                    self.decline(o, 3600)
                else:
                    self.tasks += 1
                    self.launch(o, self.task(o, "exec sleep 1000", self.cpus, self.mem))

    def subscribe(self, *args, **kw):
        first = super().subscribe(*args, **kw)
        self.worker = threading.Thread(target=self.take, daemon=True)
        self.worker.start()
        return first

    def teardown(self):
        self.over = True
        if self.worker:
            self.worker.join(5)
        super().teardown()


def settled(greedies, quiet=2.0, wait=30):
    """Numbers of tasks once nobody has launched one for a while."""
    end = time.monotonic() + wait
    last, since = None, time.monotonic()
    while time.monotonic() < end:
        now = [g.tasks for g in greedies]
        if now != last:
            last, since = now, time.monotonic()
        elif sum(now) and time.monotonic() - since > quiet:
            return now
        time.sleep(0.05)
    raise AssertionError("launching did not settle: %s" % last)
