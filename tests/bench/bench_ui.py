"""make bench-ui: the web page in Chromium, at a master with 100,000 tasks on emulated agents.

1. What is transferred until the page can be used, and when that is: the moment the view's head is drawn and keys are heard.
2. What the frames take while the table of tasks is scrolled, and from the last key of a search until its rows are shown.
UI_AGENTS, UI_TASKS make it smaller. Chromium draws without a graphics processor here, so frames cost what they cost at worst."""
import os
import statistics
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))

from harness.browser import SCROLL, Browser, Frames  # noqa: E402
from harness.crowd import AGENTS, TASKS, Crowd, figure, say  # noqa: E402

ROUNDS = 5

# The first time that the page has a view, on the clock that begins with the navigation.
READY = """new MutationObserver((_, observer) => {
  if (!document.querySelector('main h1')) return;
  observer.disconnect();
  requestAnimationFrame(() => { globalThis.readyAt = performance.now(); });
}).observe(document, { childList: true, subtree: true });"""

# From the last key until another number is found and its rows stand there.
SEARCH = """([text, shown]) => new Promise((done) => {
  const field = document.querySelector('main [data-search]'), count = document.querySelector('.found-count');
  const begun = performance.now();
  field.value = text;
  field.dispatchEvent(new InputEvent('input', { bubbles: true }));
  const look = () => {
    const rows = [...document.querySelectorAll('main .grid-body [role=row]')].map((r) => r.innerText.trim()).filter(Boolean);
    if (count.textContent === shown && rows.length && rows.every((r) => r.includes(text))) done(performance.now() - begun);
    else requestAnimationFrame(look);
  };
  look();
})"""


def first_load(browser, crowd):
    with browser.window(crowd.address) as w:
        w.page.add_init_script(READY)
        w.open("")
        w.until(lambda: w.page.evaluate("() => globalThis.readyAt"))
        return sum(w.transferred().values()) / 1024, w.page.evaluate("() => readyAt")


def main():
    with Crowd() as crowd, Browser() as browser:
        first_load(browser, crowd)  # the browser's own start
        loads = [first_load(browser, crowd) for _ in range(ROUNDS)]
        figure("ui.first_load_kb", max(size for size, _ in loads), "kB")
        figure("ui.interactive_ms", statistics.median(at for _, at in loads), "ms")
        with browser.window(crowd.address) as w:
            w.open("#/tasks?sort=id")
            w.until(lambda: "%s tasks" % format(TASKS, ",") in w.text(".filters"))
            scrolls, searches = [], []
            for n in range(ROUNDS):
                w.page.evaluate("() => { document.querySelector('main [role=grid]').scrollTop = 0; }")
                with Frames(w.page) as f:
                    w.page.evaluate(SCROLL)
                scrolls.append(f)
                host = "host-%s" % str(1 + (n * 37) % AGENTS).zfill(len(str(AGENTS)))
                searches.append(w.page.evaluate(SEARCH, [host, "%s tasks" % format(crowd.running_at(host), ",")]))
                w.page.locator("main [data-search]").fill("")
                w.until(lambda: "%s tasks" % format(TASKS, ",") in w.text(".found-count"))
            for f in scrolls:
                say("scrolling: %s" % f)
            figure("ui.frame_p95_ms", statistics.median(f.at(0.95) for f in scrolls), "ms")
            figure("ui.search_ms", statistics.median(searches), "ms")


if __name__ == "__main__":
    main()
