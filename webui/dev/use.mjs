// Uses the page as a person does, in a browser, against the made-up master: `node dev/use.mjs`. Ends with "webui_browser: N passed, ...".
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { modules } from '../build.mjs';
import { launch } from './browser.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const port = process.env.PORT ?? String(20000 + (process.pid % 20000));
const url = `http://127.0.0.1:${port}/`;
const ID = '5f9c2d1e-8a44-4e0b-9d55-3b1f0c7a6e21';
const PATIENCE = 30_000; // ms: a loaded machine is slow

const master = spawn(process.execPath, [path.join(here, 'mock.mjs'), '--port', port, '--tasks', '20000', '--rate', '100'], { stdio: ['ignore', 'pipe', 'inherit'] });
await new Promise((resolve) => master.stdout.once('data', resolve));
const browser = await launch();
const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
context.setDefaultTimeout(PATIENCE);
const page = await context.newPage();
const faults = [];
page.on('pageerror', (e) => faults.push(e.stack));
const axe = readFileSync(path.join(modules, 'axe-core/axe.min.js'), 'utf8');

const at = (hash) => page.waitForFunction((h) => location.hash === h, hash);
const open = async (hash) => {
  await page.goto('about:blank');
  await page.goto(url + hash);
  await page.locator('.connection.good').waitFor();
};
const rows = () => page.locator('main [role=grid] .grid-body [role=row]');
// A number that the page shows, once it is there.
const number = async (locator) => Number((await locator.textContent()).replace(/\D/g, ''));

const cases = {
  'the first view is there and says what is wrong': async () => {
    await open('');
    await page.getByRole('heading', { name: 'Needs attention' }).waitFor();
    await page.getByText('2 agents unreachable').waitFor();
    assert.match(await page.title(), /harbour/);
  },
  'g and a letter go to views, ? shows the keys, Escape closes': async () => {
    await page.keyboard.press('g');
    await page.keyboard.press('a');
    await at('#/agents');
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  },
  'a search narrows the table and stands in the address; arrows and Enter open a row': async () => {
    await open('#/agents');
    await page.keyboard.press('/');
    await page.keyboard.type('node-a0003');
    await at('#/agents?q=node-a0003');
    await page.getByText('1 agent', { exact: true }).waitFor();
    await page.keyboard.press('Enter');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await at(`#/agents/${ID}-S3`);
    await page.getByRole('heading', { name: /node-a0003/ }).waitFor();
  },
  'tasks: filters of a link hold, and one can be taken away': async () => {
    await open(`#/tasks?state=RUNNING&framework=${ID}-0001`);
    await page.getByText('framework:').waitFor();
    const some = await number(page.locator('.found-count'));
    await page.getByRole('button', { name: 'Remove the filter framework' }).click();
    await at('#/tasks?state=RUNNING');
    await page.waitForFunction((n) => Number(document.querySelector('.found-count').textContent.replace(/\D/g, '')) > n, some);
  },
  'tasks: the end of the list is reached, and only some rows are drawn': async () => {
    await open('#/tasks?sort=id');
    await page.waitForFunction(() => Number(document.querySelector('.found-count')?.textContent.replace(/\D/g, '')) > 19000);
    await page.locator('main [role=grid]').focus();
    await page.keyboard.press('End');
    await page.waitForFunction(() => {
      const grid = document.querySelector('main [role=grid]');
      const last = [...grid.querySelectorAll('.grid-body [role=row]')].at(-1);
      return Number(last.getAttribute('aria-rowindex')) > 19000 && last.textContent.length > 10;
    });
    assert.ok((await rows().count()) < 80);
  },
  'a column sorts, one way and the other': async () => {
    await open('#/tasks');
    await page.getByRole('button', { name: 'CPUs' }).click();
    await at('#/tasks?sort=-cpus');
    await page.locator('[aria-sort=descending]').getByText('CPUs').waitFor();
    await page.getByRole('button', { name: 'CPUs' }).click();
    await at('#/tasks?sort=cpus');
  },
  'one task: its story is told': async () => {
    await open('#/tasks?state=FINISHED');
    await rows().first().getByRole('link').first().click();
    await page.getByRole('heading', { name: 'What happened' }).waitFor();
    await page.locator('.timeline li').nth(1).waitFor();
    await page.getByText('ended by itself, with success').first().waitFor();
  },
  'the search of the cluster finds and opens': async () => {
    await open('');
    await page.keyboard.press('Control+k');
    await page.keyboard.type('ingest');
    await page.getByRole('option', { name: /^ingest / }).first().waitFor();
    await page.keyboard.press('Enter');
    await at(`#/frameworks/${ID}-0001`);
    await page.getByRole('heading', { name: 'Why does it wait?' }).waitFor();
    await page.getByText('2 frameworks come before it').waitFor();
  },
  'when the stream breaks, what is shown stays, and the page comes again by itself': async () => {
    await open('#/tasks');
    await rows().nth(5).waitFor();
    await page.route('**/page/events', (r) => r.abort());
    await page.evaluate(() => fetch('/dev/break'));
    await page.getByText('Trying again').waitFor();
    assert.ok((await rows().count()) > 5, 'rows stay');
    await page.unroute('**/page/events');
    await page.getByRole('button', { name: 'Try now' }).click();
    await page.locator('.connection.good').waitFor();
    await page.locator('.banner').waitFor({ state: 'detached' });
    assert.ok((await rows().count()) > 5);
  },
  'an agent is drained and comes back; each step asks first, and the state comes by itself': async () => {
    await open(`#/agents/${ID}-S9`);
    await page.getByRole('button', { name: 'Drain' }).click();
    await page.getByLabel('Longest time').fill('soon');
    await page.getByRole('dialog').getByRole('button', { name: 'Drain' }).click();
    await page.getByRole('alert').getByText('is no duration').waitFor();
    await page.getByLabel('Longest time').fill('10 min');
    await page.getByRole('dialog').getByRole('button', { name: 'Drain' }).click();
    await page.getByText('its tasks have at most 10 min').waitFor();
    await page.locator('h1 .state').getByText('drained').waitFor();
    await page.getByRole('button', { name: 'Reactivate' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Reactivate' }).click();
    await page.locator('h1 .state').getByText('active', { exact: true }).waitFor();
  },
  'gone for ever: the name has to be typed': async () => {
    await open(`#/agents/${ID}-S8`);
    await page.getByRole('button', { name: 'Mark gone' }).click();
    await page.getByText('This cannot be undone.').waitFor();
    await page.getByLabel('Type the host name').fill('node');
    await page.getByRole('dialog').getByRole('button', { name: 'Mark gone' }).click();
    await page.getByRole('alert').getByText('nothing was done').waitFor();
    await page.getByLabel('Type the host name').fill('node-c0008.example');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'No such agent' }).waitFor();
  },
  'resources are reserved, made a volume, destroyed and given back': async () => {
    const dialog = page.getByRole('dialog');
    await open(`#/agents/${ID}-S10`);
    await page.getByRole('button', { name: 'Reserve' }).click();
    await page.getByLabel('For the role').fill('ops');
    await page.getByLabel('Disk, MB').fill('512');
    await page.keyboard.press('Enter');
    await page.getByText('Reserved for ops.').waitFor();
    await page.getByRole('button', { name: 'Make a volume' }).click();
    await page.getByLabel('Id', { exact: true }).fill('db');
    await page.getByLabel('Size, MB').fill('128');
    await dialog.getByRole('button', { name: 'Make it' }).click();
    await page.getByRole('button', { name: 'Destroy the volume db' }).click();
    await dialog.getByRole('button', { name: 'Destroy' }).click();
    await page.getByRole('button', { name: 'Destroy the volume db' }).waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Give back disk of ops' }).click();
    await dialog.getByRole('button', { name: 'Give back' }).click();
    await page.getByRole('heading', { name: 'Reservations and volumes' }).waitFor({ state: 'detached' });
  },
  'weight and quota of a role: refused in words, then set': async () => {
    await open('#/roles');
    const change = page.getByRole('button', { name: 'Change weight and quota of data', exact: true });
    await change.click();
    await page.getByLabel('Weight', { exact: true }).fill('7');
    await page.getByLabel('CPUs: guaranteed').fill('2000000');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('exceed cluster capacity').waitFor();
    await page.getByLabel('CPUs: guaranteed').fill('3');
    await page.getByLabel('CPUs: at most').fill('4000');
    await page.keyboard.press('Enter');
    await page.getByRole('row', { name: /^data .*7.*3–4,000/ }).waitFor();
  },
  'a framework is torn down': async () => {
    await open(`#/frameworks/${ID}-0004`);
    await page.getByRole('button', { name: 'Tear down' }).click();
    await page.getByLabel('Type the name').fill('spark-etl');
    await page.keyboard.press('Enter');
    await page.locator('h1 .state').getByText('completed').waitFor();
    await page.getByRole('button', { name: 'Tear down' }).waitFor({ state: 'detached' });
  },
  'maintenance: a window for two agents, one of them taken down and up again': async () => {
    const dialog = page.getByRole('dialog');
    await open('#/maintenance');
    await page.getByRole('button', { name: 'Schedule maintenance' }).click();
    await dialog.getByRole('button', { name: 'Schedule' }).click();
    await page.getByRole('alert').getByText('Choose at least one agent').waitFor();
    for (const host of ['node-a0012', 'node-b0013']) {
      await page.getByPlaceholder('Host name').fill(host);
      await page.getByRole('button', { name: `+ ${host}` }).click();
    }
    await dialog.getByRole('button', { name: 'Schedule' }).click();
    await page.getByText('2 machines, until').waitFor();
    await page.getByText('will not leave').first().waitFor();
    await page.getByRole('button', { name: 'Take down node-a0012.example' }).click();
    await dialog.getByRole('button', { name: 'Take down' }).click();
    await page.getByRole('button', { name: 'Bring up node-a0012.example' }).click();
    await dialog.getByRole('button', { name: 'Bring up' }).click();
    await page.getByText('1 machine, until').waitFor();
    await page.getByRole('button', { name: 'Remove the window' }).click();
    await dialog.getByRole('button', { name: 'Take out' }).click();
    await page.getByText('No maintenance is scheduled.').first().waitFor();
  },
  'maintenance: agents that were taken out by hand come back from there': async () => {
    await open('#/maintenance');
    await page.getByRole('button', { name: 'Reactivate node-a0222.example' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Reactivate' }).click();
    await page.getByRole('button', { name: 'Reactivate node-a0222.example' }).waitFor({ state: 'detached' });
  },
  'the map of agents: arrows move, the cell says what it is, Enter and a click open': async () => {
    await open('#/topology');
    const map = page.getByRole('application');
    await map.waitFor();
    await page.getByRole('button', { name: 'As a table' }).focus();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Home');
    const said = page.locator('main [role=status].hidden');
    const first = await said.textContent();
    assert.match(first, /^node-a\d+\.example, active, eu-west \/ a \/ rack a1; CPUs .* of 16/);
    await page.keyboard.press('ArrowRight');
    await page.waitForFunction((t) => document.querySelector('main [role=status].hidden').textContent !== t, first);
    await page.keyboard.press('ArrowLeft');
    await page.waitForFunction((t) => document.querySelector('main [role=status].hidden').textContent.split(',')[0] === t, first.split(',')[0]);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: first.split(',')[0] }).waitFor();
    await page.goBack();
    await page.locator('.map canvas').first().click({ position: { x: 6, y: 44 } });
    await page.getByRole('heading', { name: first.split(',')[0] }).waitFor();
  },
  'the map as a table, of another resource': async () => {
    await open('#/topology');
    await page.getByRole('button', { name: 'Memory' }).click();
    await page.getByRole('button', { name: 'As a table' }).click();
    await at('#/topology?by=mem&table=1');
    await page.getByRole('columnheader', { name: 'Memory used' }).waitFor();
    await page.getByRole('link', { name: 'b7', exact: true }).click();
    await page.getByText('rack:').waitFor();
  },
  'dark and light are kept': async () => {
    await open('');
    await page.keyboard.press('Shift+D');
    await page.keyboard.press('Shift+D');
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
    await page.reload();
    assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme), 'dark');
    await page.keyboard.press('Shift+D');
  },
  'an address of nothing says so': async () => {
    await open('#/nowhere');
    await page.getByRole('heading', { name: 'There is no such view' }).waitFor();
    await open('#/agents/none');
    await page.getByRole('heading', { name: 'No such agent' }).waitFor();
  },
  'on a phone: nothing is wider than the window, the menu opens': async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    for (const hash of ['#/', '#/tasks', '#/agents', '#/roles', '#/topology', '#/maintenance', `#/agents/${ID}-S150`, `#/frameworks/${ID}-0001`]) {
      await open(hash);
      await page.locator('main h1').waitFor();
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360, `${hash} is too wide`);
      assert.ok((await page.evaluate(() => document.querySelector('main').scrollWidth)) <= 360, `${hash} is too wide`);
    }
    await page.getByRole('button', { name: 'Menu' }).click();
    await page.getByRole('link', { name: 'Offers' }).click();
    await at('#/offers');
    await page.setViewportSize({ width: 1280, height: 800 });
  },
  'axe finds nothing serious in any view': async () => {
    for (const hash of ['', '#/tasks', '#/agents', '#/frameworks', '#/roles', '#/offers', '#/topology', '#/maintenance', `#/agents/${ID}-S150`, `#/frameworks/${ID}-0001`]) {
      for (const colorScheme of ['dark', 'light']) {
        await page.emulateMedia({ colorScheme });
        await open(hash);
        await page.locator('main h1').waitFor();
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => globalThis.axe.run());
        const bad = violations.filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => `${v.id}: ${v.nodes[0].html.slice(0, 200)}`);
        assert.deepEqual(bad, [], `${hash} ${colorScheme}`);
      }
    }
  },
  'nothing failed on the way': async () => assert.deepEqual(faults, []),
};

let failed = 0;
try {
  for (const [name, run] of Object.entries(cases)) {
    const begun = performance.now();
    try {
      await run();
      console.log(`ok   ${name} (${Math.round(performance.now() - begun)} ms)`);
    } catch (e) {
      failed++;
      console.log(`FAIL ${name}: ${e.message}`);
      await page.screenshot({ path: `${process.env.SHOTS ?? '/tmp'}/webui-failed-${failed}.png` }).catch(() => {});
    }
  }
} finally {
  await browser.close();
  master.kill();
}
console.log(`webui_browser: ${Object.keys(cases).length - failed} passed, ${failed} failed, 0 skipped`);
process.exit(failed ? 1 : 0);
