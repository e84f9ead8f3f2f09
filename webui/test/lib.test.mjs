// The small parts: reading events, routes, numbers, which rows are drawn.
import test from 'node:test';
import assert from 'node:assert/strict';
import { EventParser } from '../src/worker/stream.js';
import { amounts, ago, duration, fromText, megabytes, percent, shortId } from '../src/lib/format.js';
import { blocks, reveal, virtual } from '../src/components/virtual.js';

function events(...chunks) {
  const seen = [];
  const p = new EventParser((name, data) => seen.push([name, data]));
  for (const c of chunks) p.push(c);
  return seen;
}

test('events are put together over the ends of chunks', () => {
  assert.deepEqual(events('event: he', 'llo\ndata: {"a"', ':1}\n', '\nevent:ready\r\ndata:{}\r\n\r\n'), [['hello', '{"a":1}'], ['ready', '{}']]);
});

test('comments and empty lines are no events; several data lines are one text', () => {
  assert.deepEqual(events(': hi\n\n\ndata: a\ndata: b\n\n'), [['message', 'a\nb']]);
});

test('an event without its empty line is not there yet', () => {
  assert.deepEqual(events('event: x\ndata: 1\n'), []);
});

test('numbers as people read them', () => {
  assert.equal(megabytes(512), '512 MB');
  assert.equal(megabytes(1024), '1 GB');
  assert.equal(megabytes(1536 * 1024), '1.5 TB');
  assert.equal(amounts([1, 0, 2048, 0]), '1 CPU, 2 GB');
  assert.equal(amounts([0, 0, 0, 0]), 'nothing');
  assert.equal(duration(59), '59 s');
  assert.equal(duration(3700), '1 h 1 min');
  assert.equal(percent(0.0001), '< 0.1 %');
  assert.equal(fromText('cpus(*):2; mem(prod):2048; disk(prod, p)[id:path]:9; ports(*):[1-9]', 'dev'), '2 CPUs, 2 GB (prod)');
  assert.equal(ago(100, 100.2), 'now');
  assert.equal(ago(0, 100), '–');
  assert.equal(shortId('5f9c2d1e-8a44-4e0b-9d55-3b1f0c7a6e21-S7'), '…S7');
  assert.equal(shortId('plain'), 'plain');
});

test('the rows that are drawn: some more than are seen, never outside', () => {
  const at = { total: 100, rowHeight: 32, viewHeight: 320 };
  assert.deepEqual(virtual({ ...at, scrollTop: 0 }), { height: 3200, start: 0, end: 19, offset: 0 });
  const end = virtual({ ...at, scrollTop: 2880 });
  assert.deepEqual([end.end, end.offset], [100, end.start * 32]);
  assert.deepEqual(virtual({ ...at, total: 0, scrollTop: 0 }), { height: 0, start: 0, end: 0, offset: 0 });
});

test('a million rows: the last is reached, and the row that is asked for is seen', () => {
  const at = { total: 1e6, rowHeight: 32, viewHeight: 640 };
  const bottom = virtual({ ...at, scrollTop: 12e6 - 640 });
  assert.equal(bottom.end, 1e6);
  const to = reveal(765432, { ...at, scrollTop: 0 });
  const v = virtual({ ...at, scrollTop: to });
  assert.ok(v.start <= 765432 && v.end > 765432);
  assert.equal(reveal(2, { ...at, total: 100, scrollTop: 0 }), 0, 'no move when it is seen already');
});

test('the worker is asked for whole blocks', () => {
  const b = blocks(100, 130);
  assert.ok(b.start <= 100 - 36 && b.start + b.count >= 130 + 62);
  assert.deepEqual(blocks(101, 131), b);
});
