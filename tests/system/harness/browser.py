"""The web page in Debian's Chromium, driven by Playwright: what is on the screen, and what the page asked for and complained about.

`install()` brings Playwright and axe-core (browser/install.sh). Waits are for conditions, and long: the machine may be slow."""
import importlib
import json
import os
import subprocess
import sys

from .cluster import ROOT
from .http import eventually

PLACE = os.path.join(ROOT, "build", "browser")
SHOTS = os.path.join(ROOT, "build", "screenshots")
PATIENCE = 60.0  # seconds
WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 375, "height": 740}

# Keeps the times between frames, and tasks of over 50 ms, until it is asked to stop.
FRAMES = """() => {
  const kept = (globalThis.framesKept = { times: [], long: [], going: true });
  kept.observer = new PerformanceObserver((list) => kept.long.push(...list.getEntries().map((e) => e.duration)));
  kept.observer.observe({ entryTypes: ['longtask'] });
  let last;
  const next = (t) => {
    if (last !== undefined) kept.times.push(t - last);
    last = t;
    if (kept.going) requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
}"""

STOP = """() => {
  const { times, long, observer } = framesKept;
  framesKept.going = false;
  observer.disconnect();
  return { times, long };
}"""

# 60 frames down in steps as a wheel makes them, then 60 in leaps as the bar does.
SCROLL = """async () => {
  const grid = document.querySelector('main [role=grid]');
  for (let i = 0; i < 120; i++) {
    grid.scrollTop += i < 60 ? 300 : grid.scrollHeight / 70;
    await new Promise((r) => requestAnimationFrame(r));
  }
}"""

# What the grids and tables of the view say, as objects from title to text.
ROWS = """() => [...document.querySelectorAll('main [role=grid]')].flatMap((grid) => {
  const text = (e) => e.innerText.trim().replace(/\\s+/g, ' ');
  const titles = [...grid.querySelectorAll('[role=columnheader]')].map((h) => text(h).replace(/ [↑↓]$/, ''));
  return [...grid.querySelectorAll('.grid-body [role=row]')].map((r) =>
    Object.fromEntries([...r.querySelectorAll('[role=gridcell]')].map((c, i) => [titles[i], text(c)])));
})"""


def install():
    done = subprocess.run([os.path.join(ROOT, "tests", "system", "browser", "install.sh")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=540, check=False)
    assert done.returncode == 0, "the browser's driver cannot be had:\n" + done.stdout
    if PLACE + "/python" not in sys.path:
        sys.path.insert(0, PLACE + "/python")
    return importlib.import_module("playwright.sync_api")


class Browser:
    def __init__(self):
        self.playwright = install().sync_playwright().start()
        try:
            self.chromium = self.playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"], timeout=1000 * PATIENCE)
        except BaseException:
            self.playwright.stop()
            raise

    def window(self, address, **options):
        return Window(self.chromium, address, **options)

    def stop(self):
        try:
            self.chromium.close()
        finally:
            self.playwright.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Window:
    """One page at one master. `urls`: all that it asked for, its worker too. `complaints`: of the console, of the content policy, of scripts."""

    def __init__(self, chromium, address, **options):
        self.base = "http://%s/" % address
        self.context = chromium.new_context(**dict({"viewport": WIDE, "color_scheme": "dark", "accept_downloads": True}, **options))
        self.context.set_default_timeout(1000 * PATIENCE)
        self.urls, self.complaints = [], []
        self.page = self.context.new_page()
        self.page.add_init_script("""addEventListener('securitypolicyviolation',
            (e) => console.error('content policy: ' + e.violatedDirective + ' ' + e.blockedURI))""")
        self.context.on("request", lambda r: self.urls.append(r.url))
        self.page.on("websocket", lambda w: self.urls.append(w.url))
        self.page.on("console", lambda m: m.type == "error" and self.complaints.append(m.text))
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))

    def open(self, route, live=True):
        """A deep link, as if it had been pasted: nothing of the page before it is left."""
        self.page.goto("about:blank")
        self.page.goto(self.base + route)
        if live:
            self.live()
        return self

    def live(self):
        self.page.locator(".connection.good").wait_for()
        self.page.locator("main h1").wait_for()

    def go(self, route):
        """Within the page, as by a link."""
        self.page.evaluate("(h) => { location.hash = h; }", route)
        self.page.locator("main h1").wait_for()
        return self

    def sees(self, text, exact=False):
        self.page.get_by_text(text, exact=exact).first.wait_for()

    def button(self, name):
        return self.page.get_by_role("button", name=name, exact=True)

    def rows(self):
        return self.page.evaluate(ROWS)

    def row(self, title, value):
        """The row of the view's grid that has this value, or begins with it (a host, and the agent's short id), once it is there."""
        return eventually(lambda: [r for r in self.rows() if (r.get(title, "") + " ").startswith(value + " ")][0], PATIENCE)

    def until(self, what):
        """`what` may look at what was noted, too: events of the browser come in while something is asked of it."""
        return eventually(lambda: self.page.evaluate("() => 1") and what(), PATIENCE)

    def text(self, selector="main"):
        return " ".join(self.page.locator(selector).first.inner_text().split())

    def says(self, *texts, within="main"):
        """Once all of these are in the text of the view."""
        def look():
            have = self.text(within)
            for t in texts:
                assert t in have, "'%s' is not in: %s" % (t, have[:3000])
            return True
        return self.until(look)

    def facts(self):
        """What stands in the lists of facts."""
        return self.page.evaluate("""() => Object.fromEntries([...document.querySelectorAll('main dl.facts > div')].map((d) =>
            [d.querySelector('dt').innerText.trim(), d.querySelector('dd').innerText.trim()]))""")

    def axe(self, **options):
        """Findings of axe that are serious or critical."""
        if not self.page.evaluate("() => !!globalThis.axe"):
            with open(PLACE + "/npm/node_modules/axe-core/axe.min.js") as f:
                self.page.evaluate(f.read())
        found = self.page.evaluate("(o) => axe.run(document, o)", dict({"resultTypes": ["violations"]}, **options))["violations"]
        return ["%s: %s" % (v["id"], [n["html"][:200] for n in v["nodes"][:3]]) for v in found if v["impact"] in ("serious", "critical")]

    def shot(self, name):
        os.makedirs(SHOTS, exist_ok=True)
        self.page.screenshot(path=os.path.join(SHOTS, name + ".png"))

    def transferred(self):
        """Bytes that came over the network for each file so far, heads included, by address without the master's."""
        entries = json.loads(self.page.evaluate("""() => JSON.stringify([...performance.getEntriesByType('navigation'),
            ...performance.getEntriesByType('resource')].map((e) => [e.name, e.transferSize]))"""))
        return {name.replace(self.base, "/"): size for name, size in entries}

    def only_the_master(self):
        """Nothing was asked of anybody else, and the page had nothing to complain about."""
        others = [u for u in self.urls if not u.startswith((self.base, self.base.replace("http:", "ws:"), "about:", "data:", "blob:" + self.base))]
        assert others == []
        assert self.complaints == []

    def close(self):
        self.context.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            try:
                self.shot("failed-%d" % os.getpid())
            except Exception:  # noqa: B902 what failed before is what matters
                pass
        self.close()


class BrowserWorld:
    """What a file of page tests looks at: a cluster `c`, a framework `s`, a browser. Who inherits makes them in that order; they are
    ended in the other, however far it got."""

    s = browser = None

    def stop(self):
        for end in (self.browser and self.browser.stop, self.s and self.s.teardown, self.c.stop):
            if end:
                end()


class Frames:
    """With it: what the frames of a page took meanwhile, in ms."""

    def __init__(self, page):
        self.page = page
        self.times, self.long = [], []

    def __enter__(self):
        self.page.evaluate(FRAMES)
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            got = self.page.evaluate(STOP)
            self.times, self.long = sorted(got["times"]), got["long"]

    def at(self, part):
        return self.times[min(len(self.times) - 1, int(part * len(self.times)))]

    def __str__(self):
        return "%d frames, p50 %.1f, p95 %.1f, p99 %.1f, longest %.1f ms; %d tasks of over 50 ms, the longest %.0f ms" % (
            len(self.times), self.at(0.5), self.at(0.95), self.at(0.99), self.times[-1], len(self.long), max(self.long, default=0))
