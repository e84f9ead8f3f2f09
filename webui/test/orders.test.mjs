// What forms say, as operator calls.
import test from 'node:test';
import assert from 'node:assert/strict';
import { asReserved, isDynamic, isVolume, machineOf, quotaOf, ranges, reservation, resourcesOf, sameMachine, secondsOf, volumeOn, windowsWithStates, withWindow, without } from '../src/lib/orders.js';

test('durations as people write them', () => {
  assert.deepEqual(['90', '90 s', '10 min', '2h', '1.5 h', '1 d', ' '].map(secondsOf), [90, 90, 600, 7200, 5400, 86400, null]);
  assert.throws(() => secondsOf('soon'), /no duration/);
  assert.throws(() => secondsOf('5 parsecs'), /no duration/);
});

test('ports', () => {
  assert.deepEqual(ranges('31000-31005, 80'), [{ begin: 31000, end: 31005 }, { begin: 80, end: 80 }]);
  for (const wrong of ['x', '5-4', '70000', '1-', '-1']) assert.throws(() => ranges(wrong), /no range/, wrong);
});

test('resources for a role, with who asks', () => {
  assert.deepEqual(resourcesOf({ cpus: 2, mem: null, disk: 0, ports: '' }, reservation('prod', 'op')),
    [{ name: 'cpus', type: 'SCALAR', scalar: { value: 2 }, reservations: [{ type: 'DYNAMIC', role: 'prod', principal: 'op' }] }]);
  assert.deepEqual(resourcesOf({ ports: '1-2' }, reservation('prod', null))[0].reservations, [{ type: 'DYNAMIC', role: 'prod' }]);
  assert.throws(() => resourcesOf({ cpus: null, ports: ' ' }, reservation('prod')), /all fields are empty/);
});

test('what is given back is named as it was reserved', () => {
  const old = { name: 'cpus', type: 'SCALAR', scalar: { value: 1 }, role: 'prod', reservation: { principal: 'p' }, allocation_info: { role: 'prod' } };
  assert.deepEqual(asReserved(old, 'prod'), { name: 'cpus', type: 'SCALAR', scalar: { value: 1 }, reservations: [{ type: 'DYNAMIC', role: 'prod', principal: 'p' }] });
  assert.ok(isDynamic(old, 'prod'));
  assert.ok(!isDynamic({ name: 'cpus', role: 'prod' }, 'prod'));
  const refined = { name: 'cpus', reservations: [{ type: 'STATIC', role: 'a' }, { type: 'DYNAMIC', role: 'a/b' }] };
  assert.deepEqual(asReserved(refined, 'a/b'), refined);
  assert.ok(isDynamic(refined, 'a/b'));
  assert.ok('role' in old, 'what came is left as it is');
});

test('a volume is like its disk, source and all', () => {
  const disk = { name: 'disk', scalar: { value: 100 }, reservations: [{ type: 'DYNAMIC', role: 'a' }], disk: { source: { type: 'PATH', path: { root: '/d' } } } };
  const v = volumeOn(disk, { id: 'db', path: '', mb: 64, principal: 'op' });
  assert.deepEqual(v, { name: 'disk', scalar: { value: 64 }, reservations: disk.reservations, disk: { source: disk.disk.source, persistence: { id: 'db', principal: 'op' }, volume: { mode: 'RW', container_path: 'db' } } });
  assert.ok(isVolume(v) && !isVolume(disk));
});

test('quota: what is empty is left out, zero is a limit and no guarantee', () => {
  assert.deepEqual(quotaOf('a', { 'guarantee-cpus': 2, 'limit-cpus': 4, 'limit-mem': 0, 'guarantee-mem': 0, 'limit-disk': null }),
    { role: 'a', guarantees: { cpus: { value: 2 } }, limits: { cpus: { value: 4 }, mem: { value: 0 } } });
  assert.throws(() => quotaOf('a', { 'guarantee-cpus': 5, 'limit-cpus': 4 }), /CPUs: the guarantee is larger/);
});

const M = (hostname, ip) => ({ hostname, ip });

test('the machine of an agent', () => {
  assert.deepEqual(machineOf({ hostname: 'a', pid: 'slave(1)@10.0.0.7:5051' }), M('a', '10.0.0.7'));
  assert.deepEqual(machineOf({ hostname: 'a', pid: 'slave(1)@[::1]:5051' }), M('a', '::1'));
  assert.deepEqual(machineOf({ hostname: 'a', pid: null }), { hostname: 'a' });
  assert.ok(sameMachine(M('A', '1.1.1.1'), M('a', '1.1.1.1')));
  assert.ok(!sameMachine(M('a', '1.1.1.1'), { hostname: 'a' }));
});

test('a machine is in one window, and empty windows go', () => {
  const one = withWindow([], [M('a', '1'), M('b', '2'), M('a', '1')], 100, 60);
  assert.deepEqual(one, [{ machine_ids: [M('a', '1'), M('b', '2')], unavailability: { start: { nanoseconds: 1e11 }, duration: { nanoseconds: 6e10 } } }]);
  const two = withWindow(one, [M('a', '1'), M('b', '2')], 200, null);
  assert.deepEqual(two, [{ machine_ids: [M('a', '1'), M('b', '2')], unavailability: { start: { nanoseconds: 2e11 } } }]);
  assert.deepEqual(without(two, [M('b', '2')])[0].machine_ids, [M('a', '1')]);
  assert.deepEqual(without(two, two[0].machine_ids), []);
});

test('windows with the states of their machines', () => {
  const windows = withWindow(withWindow([], [M('a', '1'), M('b', '2')], 100, 60), [M('c', '3')], 50, null);
  const status = { draining_machines: [{ id: M('a', '1'), statuses: [{ status: 'ACCEPT' }] }], down_machines: [M('b', '2')] };
  assert.deepEqual(windowsWithStates(windows, status), [
    { start: 100, end: 160, machines: [{ id: M('a', '1'), state: 'draining', answers: [{ status: 'ACCEPT' }] }, { id: M('b', '2'), state: 'down', answers: [] }] },
    { start: 50, end: null, machines: [{ id: M('c', '3'), state: 'up', answers: [] }] },
  ]);
  assert.deepEqual(windowsWithStates(undefined, undefined), []);
});
