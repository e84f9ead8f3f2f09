import test from 'node:test';
import assert from 'node:assert/strict';
import { segmentsOf, matchIn, linkTo } from '../src/lib/address.js';

const table = [{ path: '/' }, { path: '/agents' }, { path: '/agents/:id' }, { path: '/agents/:id/browse' }, { path: '/tasks/:framework/:id' }];

test('addresses lead to views', () => {
  const at = (hash) => {
    const { segments } = segmentsOf(hash);
    const m = matchIn(table, segments);
    return m && [m.entry.path, m.params];
  };
  assert.deepEqual(at(''), ['/', {}]);
  assert.deepEqual(at('#/'), ['/', {}]);
  assert.deepEqual(at('#/agents?sort=x'), ['/agents', {}]);
  assert.deepEqual(at('#/agents/S1/browse?path=/a/b'), ['/agents/:id/browse', { id: 'S1' }]);
  assert.equal(at('#/nothing/here'), null);
});

test('ids with any letters come back as they were', () => {
  const id = 'a/b c?d#é%';
  const { segments, query } = segmentsOf(linkTo('tasks', 'F', id, { q: 'x&y=1' }));
  assert.deepEqual(segments, ['tasks', 'F', id]);
  assert.deepEqual(query, { q: 'x&y=1' });
  assert.deepEqual(segmentsOf('#/tasks/%zz').segments, ['tasks', '%zz'], 'a broken escape is a text');
  assert.equal(linkTo('tasks', { q: '', state: null }), '#/tasks');
});
