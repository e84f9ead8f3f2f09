// Every state and reason of the protocol is explained: the lists are read from the project's own mesos.proto.
import test from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { EXPLAIN_WORDS, REASON_WORDS, STATE_WORDS, reasonWords, stateWords } from '../src/lib/words.js';
import { STATES } from '../src/lib/states.js';

const proto = readFileSync(new URL('../../proto/mesos.proto', import.meta.url), 'utf8');
const named = (prefix) => [...new Set([...proto.matchAll(new RegExp(`^\\s*${prefix}_([A-Z_]+)\\s*=\\s*\\d+`, 'gm'))].map((m) => m[1]))];
const states = /enum TaskState \{([^}]*)\}/.exec(proto)[1].match(/TASK_[A-Z_]+/g).map((s) => s.slice(5));

test('every task state is in the tables', () => {
  assert.ok(states.length >= 14);
  assert.deepEqual(states.filter((s) => !STATE_WORDS[s]), []);
  assert.deepEqual([...new Set(states)].sort(), [...STATES].sort());
});

test('every reason is explained', () => {
  const reasons = named('REASON').filter((r) => !r.includes('SLAVE'));
  assert.ok(reasons.length >= 30);
  assert.deepEqual(reasons.filter((r) => !REASON_WORDS[r]), []);
});

test('names come with and without their prefix, and in the older spelling', () => {
  assert.equal(stateWords('TASK_RUNNING'), stateWords('RUNNING'));
  assert.equal(reasonWords('REASON_SLAVE_REMOVED'), REASON_WORDS.AGENT_REMOVED);
  assert.equal(reasonWords('REASON_NEW'), undefined);
});

test('every reason of the allocator is explained', () => {
  const doc = readFileSync(new URL('../../docs/explain.md', import.meta.url), 'utf8');
  const reasons = [...doc.matchAll(/^\| ([A-Z_, ]+) \|/gm)].flatMap((m) => m[1].split(', '));
  assert.ok(reasons.length > 10);
  assert.deepEqual(reasons.filter((r) => !EXPLAIN_WORDS[r]), []);
});
