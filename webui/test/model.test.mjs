// The worker's model: what the stream says, and what a list then has.
import test from 'node:test';
import assert from 'node:assert/strict';
import { Model } from '../src/worker/model.js';

const HELLO = { version: 1, resources: ['cpus', 'gpus', 'mem', 'disk'] };
const AGENTS = ['key', 'id', 'hostname', 'zone', 'region', 'state', 'total', 'used', 'offered', 'reserved', 'tasks', 'attributes'];
const TASKS = ['key', 'framework', 'id', 'name', 'agent', 'role', 'state', 'at', 'healthy', 'resources', 'executor', 'started'];

const agent = (key, hostname, more = {}) => {
  const a = { key, id: `S${key}`, hostname, zone: 'a', region: 'r', state: 'active', total: [8, 0, 1024, 0], used: [2, 0, 512, 0], offered: [1, 0, 0, 0], reserved: [0, 0, 0, 0], tasks: 1, attributes: { rack: 'x1' }, ...more };
  return AGENTS.map((c) => a[c]);
};
const task = (key, more = {}) => {
  const t = { key, framework: 100, id: `t.${key}`, name: 'web', agent: 1, role: 'prod', state: 'RUNNING', at: key, healthy: null, resources: [1, 0, 64, 0], executor: null, started: key, ...more };
  return TASKS.map((c) => t[c]);
};

function model({ tasks = [], agents = [agent(1, 'alpha'), agent(2, 'beta')], hello = HELLO } = {}) {
  const m = new Model();
  m.apply('hello', hello);
  m.apply('agents', { columns: AGENTS, rows: agents });
  m.apply('frameworks', { columns: ['key', 'id', 'name', 'state', 'roles'], rows: [[100, 'F0', 'Marathon', 'active', ['prod']], [101, 'F1', 'batch', 'disconnected', ['dev', 'prod']]] });
  m.apply('roles', { columns: ['name', 'weight', 'share', 'used', 'limit'], rows: [['prod', 2, 0.5, [4, 0, 0, 0], [4, null, null, null]], ['dev', 1, 0.1, [1, 0, 0, 0], null]] });
  m.apply('tasks', { columns: TASKS, rows: tasks });
  m.apply('ready', {});
  return m;
}
const ids = (m, query) => m.window('tasks', m.list('tasks', query), 0, 1e9).map((t) => t.id);

test('the newest row of a task counts, and states are counted', () => {
  const m = model({ tasks: [task(1), task(2)] });
  m.apply('tasks', { columns: TASKS, rows: [task(1, { state: 'FINISHED', at: 9 })] });
  assert.deepEqual([m.summary(10).tasks.RUNNING, m.summary(10).tasks.FINISHED, m.tasks.size], [1, 1, 2]);
  assert.deepEqual(ids(m, {}), ['t.1', 't.2'], 'the last changed first');
});

test('a task that is gone is in no list, and its slot is used again', () => {
  const m = model({ tasks: [task(1), task(2)] });
  const before = m.list('tasks', {});
  m.apply('gone', { tasks: [1, 77] });
  assert.deepEqual(ids(m, {}), ['t.2']);
  assert.deepEqual(m.window('tasks', before, 0, 9).map((t) => t?.id ?? null).sort(), [null, 't.2'].sort());
  m.apply('tasks', { columns: TASKS, rows: [task(3)] });
  assert.deepEqual(ids(m, { sort: 'id' }), ['t.2', 't.3']);
  assert.equal(m.summary(0).tasks.RUNNING, 2);
});

test('filters: state, groups of states, framework, agent, role, health, all together', () => {
  const m = model({ tasks: [task(1), task(2, { state: 'FAILED' }), task(3, { framework: 101, role: 'dev', agent: 2 }), task(4, { healthy: false }), task(5, { agent: null, state: 'STAGING' })] });
  assert.deepEqual(ids(m, { state: 'FAILED,STAGING', sort: 'id' }), ['t.2', 't.5']);
  assert.deepEqual(ids(m, { state: 'live', sort: 'id' }), ['t.1', 't.3', 't.4', 't.5']);
  assert.deepEqual(ids(m, { state: 'ended' }), ['t.2']);
  assert.deepEqual(ids(m, { framework: 'F1' }), ['t.3']);
  assert.deepEqual(ids(m, { framework: 'nobody' }), []);
  assert.deepEqual(ids(m, { agent: 'S2' }), ['t.3']);
  assert.deepEqual(ids(m, { role: 'dev' }), ['t.3']);
  assert.deepEqual(ids(m, { role: 'none' }), []);
  assert.deepEqual(ids(m, { unhealthy: true }), ['t.4']);
  assert.deepEqual(ids(m, { agent: 'S1', framework: 'F0', state: 'RUNNING', sort: 'id' }), ['t.1', 't.4']);
});

test('a search finds parts of ids, names, roles, frameworks and hosts, all words, in any case', () => {
  const m = model({ tasks: [task(1, { name: 'Api' }), task(2, { framework: 101, role: 'dev' }), task(3, { agent: 2 })] });
  assert.deepEqual(ids(m, { q: 'API' }), ['t.1']);
  assert.deepEqual(ids(m, { q: 'T.2' }), ['t.2']);
  assert.deepEqual(ids(m, { q: 'BATCH' }), ['t.2']);
  assert.deepEqual(ids(m, { q: 'beta' }), ['t.3']);
  assert.deepEqual(ids(m, { q: 'marathon web', sort: 'id' }), ['t.3']);
  assert.deepEqual(ids(m, { q: 'nowhere' }), []);
});

test('sorting by texts, numbers and names of others; equal ones keep their order', () => {
  const m = model({ tasks: [task(1, { name: 'b', resources: [4, 0, 1, 0], agent: 2 }), task(2, { name: 'a', resources: [1, 0, 9, 0] }), task(3, { name: 'b', resources: [2, 0, 5, 0] })] });
  assert.deepEqual(ids(m, { sort: 'name' }), ['t.2', 't.1', 't.3']);
  assert.deepEqual(ids(m, { sort: 'name', descending: true }), ['t.1', 't.3', 't.2']);
  assert.deepEqual(ids(m, { sort: 'cpus', descending: true }), ['t.1', 't.3', 't.2']);
  assert.deepEqual(ids(m, { sort: 'mem' }), ['t.1', 't.3', 't.2']);
  assert.deepEqual(ids(m, { sort: 'agent' }), ['t.2', 't.3', 't.1']);
});

test('a task without a status yet is the newest', () => {
  const m = model({ tasks: [task(5), task(1, { at: null, state: 'STAGING' }), task(2, { at: null, state: 'STAGING' })] });
  assert.deepEqual(ids(m, {}), ['t.1', 't.2', 't.5']);
  assert.equal(m.one('tasks', { framework: 'F0', id: 't.1' }).at, null);
});

test('many tasks: the columns grow and keep what they had', () => {
  const m = model({ tasks: Array.from({ length: 5000 }, (_, i) => task(i, { state: i % 2 ? 'RUNNING' : 'KILLED' })) });
  assert.equal(ids(m, { state: 'KILLED' }).length, 2500);
  assert.equal(m.one('tasks', { framework: 'F0', id: 't.4321' }).at, 4321);
});

test('resources come in the order of hello', () => {
  const m = new Model();
  m.apply('hello', { resources: ['mem', 'cpus'] });
  m.apply('agents', { columns: ['key', 'id', 'total'], rows: [[1, 'S1', [64, 2]]] });
  m.apply('tasks', { columns: TASKS, rows: [task(1, { resources: [32, 0.5] })] });
  assert.deepEqual(m.one('agents', { id: 'S1' }).total, [2, 0, 64, 0]);
  assert.deepEqual(m.taskRow(m.list('tasks', {})[0]).resources, [0.5, 0, 32, 0]);
});

test('agents: search in attributes, filter by zone and state, sort by how full', () => {
  const m = model({ agents: [agent(1, 'alpha'), agent(2, 'beta', { used: [7, 0, 0, 0], zone: 'b' }), agent(3, 'gamma', { state: 'draining', attributes: { rack: 'y9' } })] });
  const names = (q) => m.list('agents', q).map((a) => a.hostname);
  assert.deepEqual(names({}), ['alpha', 'beta', 'gamma']);
  assert.deepEqual(names({ q: 'rack:y9' }), ['gamma']);
  assert.deepEqual(names({ equal: { zone: 'b', region: undefined } }), ['beta']);
  assert.deepEqual(names({ state: 'draining,drained' }), ['gamma']);
  assert.deepEqual(names({ sort: 'part.cpus', descending: true })[0], 'beta');
});

test('the summary: sums of agents that are there, zones, problems', () => {
  const tasks = [task(1), task(980, { state: 'FAILED', framework: 101 }), task(990, { state: 'LOST', framework: 101 }), task(3, { state: 'FAILED' }), task(4, { healthy: false })];
  const m = model({ agents: [agent(1, 'alpha'), agent(2, 'beta', { state: 'unreachable' }), agent(3, 'gamma', { zone: 'b' })], tasks });
  const s = m.summary(1000);
  assert.deepEqual(s.sums.total, [16, 0, 2048, 0]);
  assert.deepEqual(s.zones.map((z) => [z.zone, z.agents]), [['a', 1], ['b', 1]]);
  assert.deepEqual(s.problems.unreachable, { count: 1, some: [{ id: 'S2', name: 'beta' }] });
  assert.equal(s.problems.failed, 2, 'what failed long ago is history');
  assert.deepEqual([s.problems.failing.some[0].name, s.problems.failing.some[0].last.id], ['batch', 't.990']);
  assert.equal(s.problems.unhealthy, 1);
  assert.deepEqual(s.problems.atLimit.some.map((r) => r.name), ['prod']);
  assert.deepEqual(s.problems.disconnected.some.map((f) => f.name), ['batch']);
});

test('frameworks of a role', () => {
  const m = model();
  assert.deepEqual(m.list('frameworks', { role: 'dev' }).map((f) => f.name), ['batch']);
});
