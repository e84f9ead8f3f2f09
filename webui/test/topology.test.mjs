// The map of agents: groups, places, arrows.
import test from 'node:test';
import assert from 'node:assert/strict';
import { counts, grouped, index, layout, level, step } from '../src/lib/topology.js';

const agent = (i, more) => ({ hostname: `n${i}`, region: 'eu', zone: 'a', rack: 'r1', state: 'active', used: [1, 0, 0, 0], total: [4, 0, 0, 0], ...more });

test('groups are in the order that people count in, what has no name comes last', () => {
  const zones = grouped([agent(10, { rack: 'r10' }), agent(2, { rack: 'r2' }), agent(1, { rack: null }), agent(3, { zone: null, region: null }), agent(11, { rack: 'r2' })]);
  assert.deepEqual(zones.map((z) => z.name), ['eu / a', null]);
  assert.deepEqual(zones[0].racks.map((r) => [r.name, r.agents]), [['r2', [1, 4]], ['r10', [0]], [null, [2]]]);
});

const many = (n, racks) => Array.from({ length: n }, (_, i) => agent(i, { zone: 'abc'[i % 3], rack: `${'abc'[i % 3]}${((i / 3) | 0) % racks}` }));

// Cells that share a pixel.
function overlaps({ cells, size }) {
  const seen = new Set();
  let n = 0;
  for (const c of cells) {
    for (const [x, y] of [[c.x, c.y], [c.x + size - 1, c.y + size - 1], [c.x, c.y + size - 1], [c.x + size - 1, c.y]]) {
      const key = `${x} ${y}`;
      if (seen.has(key)) n++;
      seen.add(key);
    }
  }
  return n;
}

test('5,000 agents are seen at once, each in a place of its own', () => {
  for (const racks of [1, 20, 100]) {
    const p = layout(grouped(many(5000, racks)), 1064, 640);
    assert.ok(p.height <= 640, `${racks} racks: ${p.height} px`);
    assert.ok(p.size >= 6, `${racks} racks: cells of ${p.size} px`);
    assert.equal(new Set(p.cells.map((c) => c.agent)).size, 5000);
    assert.equal(overlaps(p), 0);
    assert.ok(p.cells.every((c) => c.x >= 0 && c.x + p.size <= 1064));
  }
  assert.ok(layout(grouped(many(5000, 20)), 1064, 640).labels.some((l) => l.text === 'b7'), 'racks have names');
});

test('too many for the window: higher, and not smaller than can be seen', () => {
  const p = layout(grouped(many(60000, 20)), 340, 400);
  assert.ok(p.height > 400 && p.size >= 5);
  assert.equal(p.cells.length, 60000);
  assert.deepEqual(layout([], 100, 100).cells, []);
});

test('a point finds its cell, arrows find the next', () => {
  const p = layout(grouped(many(300, 4)), 800, 500);
  const find = index(p.cells, p.size);
  p.cells.forEach((c, i) => assert.equal(find(c.x + p.size / 2, c.y + p.size / 2), i));
  assert.equal(find(-5, -5), -1);
  const right = step(p.cells, 0, 1, 0);
  assert.equal(p.cells[right].y, p.cells[0].y);
  assert.equal(p.cells[right].x, p.cells[0].x + p.size);
  assert.equal(step(p.cells, right, -1, 0), 0);
  assert.equal(step(p.cells, 0, 0, -1), 0, 'nothing is above');
  // Down again and again reaches the last zone.
  let at = 0;
  for (let i = 0; i < 100; i++) at = step(p.cells, at, 0, 1);
  assert.equal(p.cells[at].y, Math.max(...p.cells.map((c) => c.y)));
});

test('how full', () => {
  assert.deepEqual([[0, 4], [1, 4], [2, 4], [3, 4], [3.6, 4], [4, 4], [1, 0]].map(([u, t]) => level(u, t)), [0, 1, 2, 3, 4, 5, -1]);
});

test('counts of a rack', () => {
  const agents = [agent(1), agent(2, { state: 'draining' }), agent(3, { rack: 'r2' })];
  assert.deepEqual(counts(grouped(agents), agents, 0), [
    { region: 'eu', zone: 'a', rack: 'r1', agents: 2, states: { active: 1, draining: 1 }, used: 2, total: 8 },
    { region: 'eu', zone: 'a', rack: 'r2', agents: 1, states: { active: 1 }, used: 1, total: 4 },
  ]);
});
