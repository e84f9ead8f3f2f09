// Times of the map of agents: `node dev/map.mjs URL`, with a made-up master of 5,000 agents. One line of JSON; times in ms.
import { require } from '../build.mjs';

const { chromium } = require('playwright-core');
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
await page.goto(`${process.argv[2]}#/topology`);
await page.locator('.legend').waitFor({ timeout: 60000 });
await page.waitForTimeout(2000);
const fits = await page.evaluate(() => document.querySelector('main').scrollHeight <= document.querySelector('main').clientHeight);
const agents = await page.locator('.found-count').textContent();
const at = (times, p) => Math.round(times.sort((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * p))] * 10) / 10;

// Draws as they come with the stream, and frames meanwhile; then frames while the pointer moves over the cells.
const watched = await page.evaluate(async () => {
  const draws = [], frames = [];
  let last = performance.now(), seen = 0;
  for (const end = last + 5000; last < end;) {
    await new Promise((r) => requestAnimationFrame(r));
    const t = performance.now();
    frames.push(t - last);
    last = t;
    const m = performance.getEntriesByName('map-changes', 'measure').at(-1);
    if (m && m.startTime !== seen) draws.push(m.duration);
    seen = m?.startTime;
  }
  return { draws, frames };
});
// All of it anew: another resource each time.
const whole = [];
for (const name of ['Memory', 'Disk', 'CPUs', 'State only', 'Memory', 'CPUs']) {
  await page.evaluate(() => performance.clearMeasures('map-whole'));
  await page.getByRole('button', { name, exact: true }).click();
  const drawn = await page.waitForFunction(() => performance.getEntriesByName('map-whole', 'measure').at(-1)?.duration);
  whole.push(await drawn.jsonValue());
}
const box = await page.locator('.map canvas').first().boundingBox();
const pointed = page.evaluate(async () => {
  const frames = [];
  let last = performance.now();
  for (const end = last + 2500; last < end;) {
    await new Promise((r) => requestAnimationFrame(r));
    const t = performance.now();
    frames.push(t - last);
    last = t;
  }
  return frames;
});
for (let i = 0; i < 60; i++) await page.mouse.move(box.x + (box.width * i) / 60, box.y + (box.height * ((i * 7) % 60)) / 60);
const moves = await pointed;
const times = (list) => ({ n: list.length, p50: at(list, 0.5), p95: at(list, 0.95), max: at(list, 1) });
console.log(JSON.stringify({ agents, fits, redraws: times(watched.draws), whole: times(whole), frames: times(watched.frames), pointing: times(moves) }));
await browser.close();
