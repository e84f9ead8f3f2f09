// Frame times of the page while a long table is scrolled and searched: `node dev/frames.mjs URL`. One line of JSON.
import { launch } from './browser.mjs';

const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
const begun = performance.now();
await page.goto(`${process.argv[2]}#/tasks`);
const interactive = await page.evaluate(() => performance.getEntriesByType('navigation')[0].domInteractive);
const painted = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
await page.locator('.connection.good').waitFor({ timeout: 60000 });
const live = performance.now() - begun;
await page.waitForTimeout(1500);

const cdp = await page.context().newCDPSession(page);
await cdp.send('Performance.enable', { timeDomain: 'threadTicks' });
const cpu = async () => {
  const { metrics } = await cdp.send('Performance.getMetrics');
  return Object.fromEntries(metrics.map((m) => [m.name, m.value]));
};

// Frames while something is done, in ms; and the CPU time of the page's main thread for each of them, which a loaded machine does not change.
async function frames(action) {
  const before = await cpu();
  await page.evaluate(() => {
    globalThis.frameTimes = [];
    let last = performance.now();
    globalThis.measuring = true;
    const next = (t) => {
      globalThis.frameTimes.push(t - last);
      last = t;
      if (globalThis.measuring) requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  });
  await action();
  const times = await page.evaluate(() => {
    globalThis.measuring = false;
    return globalThis.frameTimes;
  });
  const after = await cpu();
  const each = (name) => Math.round(((after[name] - before[name]) * 1e5) / times.length) / 100;
  times.sort((a, b) => a - b);
  const at = (p) => Math.round(times[Math.min(times.length - 1, Math.floor(times.length * p))] * 10) / 10;
  return { frames: times.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1), cpu: each('TaskDuration'), script: each('ScriptDuration'), layout: each('LayoutDuration') + each('RecalcStyleDuration') };
}

const still = await frames(() => page.waitForTimeout(2000));
const scroll = await frames(() => page.evaluate(async () => {
  const grid = document.querySelector('[role=grid]');
  for (let i = 0; i < 120; i++) {
    grid.scrollTop += i < 60 ? 400 : grid.scrollHeight / 70;
    await new Promise((r) => requestAnimationFrame(r));
  }
}));
const search = await frames(async () => {
  await page.locator('main [data-search]').pressSequentially('ingest.worker', { delay: 60 });
  await page.waitForTimeout(800);
});
const found = await page.locator('.found-count').textContent();
const tasks = await page.locator('nav a[href="#/tasks"] .num').textContent();
console.log(JSON.stringify({ tasks, found, interactive, painted, live: Math.round(live), still, scroll, search }));
await browser.close();
