"""The web page's stream, followed by a thread into tables of rows: what a page would show."""
import json
import threading

from .http import Broken, Connection, WAIT, request_bytes

TABLES = ("agents", "frameworks", "roles", "tasks")


class Page:
    """`tables[name]` is key -> row (a dict by column). Whoever looks holds the lock."""

    def __init__(self, address, headers=None, wait=WAIT):
        self.c = Connection(address, wait)
        self.c.send(request_bytes("GET", "/page/events", headers))
        self.answer = self.c.head()
        self.lock = threading.Condition()
        self.tables = {name: {} for name in TABLES}
        self.hello = self.beat = None
        self.ready = self.ended = False
        self.largest = 0  # rows of an event
        self.counts = {}  # events by name
        self.rows = {name: 0 for name in TABLES}
        self.gone = []
        self.bytes = 0
        self.thread = None
        if self.answer.status != 200:
            self.answer.body = self.c.exactly(int(self.answer.headers.get("content-length", 0)))
            self.c.close()
            return
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        text = b""
        try:
            while True:
                chunk = self.c.chunk()
                if not chunk:
                    break
                self.bytes += len(chunk)
                text += chunk
                while b"\n\n" in text:
                    event, text = text.split(b"\n\n", 1)
                    name, data = event.split(b"\n")
                    self.apply(name.split(b": ", 1)[1].decode(), json.loads(data.split(b": ", 1)[1]))
        except (Broken, OSError):
            pass
        with self.lock:
            self.ended = True
            self.lock.notify_all()

    def apply(self, name, data):
        with self.lock:
            self.counts[name] = self.counts.get(name, 0) + 1
            if name in TABLES:
                key = "name" if name == "roles" else "key"
                self.largest = max(self.largest, len(data["rows"]))
                self.rows[name] += len(data["rows"])
                for values in data["rows"]:
                    assert len(values) == len(data["columns"])
                    row = dict(zip(data["columns"], values))
                    self.tables[name][row[key]] = row
            elif name == "gone":
                self.gone.append(data)
                for table, keys in data.items():
                    for key in keys:
                        self.tables[table].pop(key, None)
            elif name == "hello":
                self.hello = data
            elif name == "beat":
                self.beat = data
            elif name == "ready":
                self.ready = True
            self.lock.notify_all()

    def until(self, what, wait=WAIT):
        """Waits until `what(page)` is true, which it is asked after each event."""
        with self.lock:
            assert self.lock.wait_for(lambda: what(self) or self.ended, wait), self.counts
            assert what(self), "the stream ended"
        return self

    def wait_ready(self, wait=WAIT):
        return self.until(lambda p: p.ready, wait)

    def by_id(self, table):
        """Rows by id instead of key; of tasks a list, for an id may be there twice."""
        with self.lock:
            if table == "tasks":
                return [dict(r) for r in self.tables["tasks"].values()]
            return {r["id"]: r for r in self.tables[table].values()}

    def task(self, task_id):
        with self.lock:
            return next((r for r in self.tables["tasks"].values() if r["id"] == task_id), None)

    def shown(self):
        """All tables, as a page sees them: a task's agent that is gone is none."""
        with self.lock:
            tables = {name: {k: dict(r) for k, r in rows.items()} for name, rows in self.tables.items()}
        for row in tables["tasks"].values():
            if row["agent"] not in tables["agents"]:
                row["agent"] = None
        return tables

    def close(self):
        try:
            self.c.sock.shutdown(2)
        except OSError:
            pass
        if self.thread:
            self.thread.join(5)
        self.c.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
