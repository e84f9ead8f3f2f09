import test from 'node:test';
import assert from 'node:assert/strict';
import { crumbs, dottedContainer, newContainer, sandboxOf } from '../src/lib/sandbox.js';
import { matching, PIECE, plain, Tail } from '../src/lib/tail.js';
import { sampleOf, Series } from '../src/lib/usage.js';

const task = (more) => ({ task_id: { value: 't' }, framework_id: { value: 'f' }, statuses: [], ...more });
const inContainer = (container_id) => ({ statuses: [{ container_status: { container_id } }, {}] });

test('sandboxes of command tasks, executors and groups', () => {
  assert.equal(sandboxOf(task()), '/frameworks/f/executors/t/runs/latest');
  assert.equal(sandboxOf(task({ executor_id: { value: 'e' } })), '/frameworks/f/executors/e/runs/latest');
  const pod = task({ executor_id: { value: 'e' }, ...inContainer({ value: 'n', parent: { value: 'r' } }) });
  assert.equal(sandboxOf(pod), '/frameworks/f/executors/e/runs/latest/containers/n');
  assert.equal(dottedContainer(pod), 'r.n');
  assert.equal(dottedContainer(task()), null);
  assert.match(newContainer('r.n'), /^r\.n\.page-[0-9a-f]{16}$/);
});

test('a path as links', () => {
  assert.deepEqual(crumbs('/a/b'), [{ name: 'a', path: '/a' }, { name: 'b', path: '/a/b' }]);
  assert.deepEqual(crumbs('/box/x', '/box'), [{ name: 'x', path: '/box/x' }]);
  assert.deepEqual(crumbs('/box', '/box'), []);
});

// A file in memory that answers as /files/read does.
function file(text) {
  const f = { bytes: new TextEncoder().encode(text), reads: [] };
  f.read = async (offset, length) => {
    f.reads.push([offset, length]);
    if (offset === -1) return { data: '', offset: f.bytes.length };
    return { data: new TextDecoder().decode(f.bytes.slice(offset, offset + length)), offset };
  };
  f.append = (more) => { f.bytes = new Uint8Array([...f.bytes, ...new TextEncoder().encode(more)]); };
  return f;
}

test('a tail follows, and goes back', async () => {
  const f = file('one\ntwo\n');
  const t = new Tail(f.read);
  assert.equal(await t.follow(), true);
  assert.equal(t.text(), 'one\ntwo\n');
  assert.equal(await t.follow(), false);
  f.append('three');
  await t.follow();
  assert.equal(t.text(), 'one\ntwo\nthree');
  assert.equal(t.more, false);
  const long = file(`${'x'.repeat(79)}\n`.repeat(4000));
  const u = new Tail(long.read);
  await u.follow();
  assert.equal(u.start, 320000 - PIECE);
  while (await u.older());
  assert.equal(u.text().length, 320000);
});

test('letters of several bytes are not cut', async () => {
  const f = file('');
  const t = new Tail(f.read);
  await t.follow();
  const text = 'grüß dich, Welt: ✓✓✓\n'.repeat(9000);
  f.append(text);
  await t.follow();
  assert.equal(t.text(), text);
});

test('a file that was cut begins again', async () => {
  const f = file('old old old\n');
  const t = new Tail(f.read);
  await t.follow();
  f.bytes = new TextEncoder().encode('new\n');
  assert.equal(await t.follow(), true);
  assert.equal(t.text(), 'new\n');
});

test('what is kept has an end', async () => {
  const f = file('');
  const t = new Tail(f.read);
  await t.follow();
  for (let i = 0; i < 12; i++) {
    f.append(`${'y'.repeat(99)}\n`.repeat(5000));
    await t.follow();
  }
  assert.ok(t.text().length <= 4.2e6 && t.dropped);
  assert.equal(t.end - t.start, t.text().length);
});

test('colours of terminals are taken out, lines are chosen', () => {
  assert.equal(plain('\u001b[31mred\u001b[0m\r\n'), 'red\n');
  assert.equal(matching('Alpha\nbeta\nALPHABET', 'alpha'), 'Alpha\nALPHABET');
});

test('totals become rates', () => {
  const s = new Series(3);
  const at = (time, cpu) => sampleOf({ timestamp: time, cpus_user_time_secs: cpu, cpus_system_time_secs: 0, cpus_limit: 2, mem_rss_bytes: 1048576, mem_limit_bytes: 2097152 });
  assert.equal(sampleOf(undefined), null);
  assert.equal(s.add([['a', at(10, 1)]]), false);
  assert.equal(s.add([['a', at(12, 2)], ['b', at(12, 50)]]), true);
  assert.deepEqual(s.points.at(-1), { at: 12, cpu: 0.5, mem: 2, cpuLimit: 4, memLimit: 4 });
  assert.equal(s.add([['a', at(12, 2)], ['b', at(12, 50)]]), false);
  s.add([['b', at(14, 51)]]);
  assert.equal(s.points.at(-1).cpu, 0.5);
  for (let i = 0; i < 5; i++) s.add([['b', at(16 + i, 51)]]);
  assert.equal(s.points.length, 3);
});
