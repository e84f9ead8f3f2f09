// Pictures of the page, to look at: `node dev/look.mjs URL FOLDER [ROUTE ...]`, in dark and light, wide and as a phone.
// Also says what the console said, and what axe finds (AXE=1).
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { modules } from '../build.mjs';
import { launch } from './browser.mjs';

const [url, folder, ...routes] = process.argv.slice(2);
const only = process.env.ONLY?.split(',');
const KINDS = {
  dark: { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' },
  light: { viewport: { width: 1280, height: 800 }, colorScheme: 'light' },
  phone: { viewport: { width: 375, height: 740 }, colorScheme: 'dark' },
};

mkdirSync(folder, { recursive: true });
const browser = await launch();
for (const [kind, options] of Object.entries(KINDS)) {
  if (only && !only.includes(kind)) continue;
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on('console', (m) => m.type() === 'error' && console.log(`${kind}: ${m.text()}`));
  page.on('pageerror', (e) => console.log(`${kind}: ${e.stack}`));
  for (const route of routes.length ? routes : ['#/', '#/tasks', '#/agents', '#/frameworks', '#/roles', '#/offers']) {
    await page.goto(url + route);
    await page.locator('.connection.good').waitFor({ timeout: 20000 });
    await page.waitForTimeout(Number(process.env.WAIT ?? 1200));
    const name = `${route.replace(/^#\//, '').replace(/[^a-zA-Z0-9]+/g, '-').slice(0, 40) || 'overview'}-${kind}.png`;
    await page.screenshot({ path: path.join(folder, name) });
    if (process.env.AXE) await axe(page, `${route} ${kind}`);
  }
  await context.close();
}
await browser.close();

async function axe(page, where) {
  await page.evaluate(readFileSync(path.join(modules, 'axe-core/axe.min.js'), 'utf8'));
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  for (const v of violations) console.log(`${where}: ${v.impact} ${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(' | ')}`);
}
