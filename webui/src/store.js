// The page's side of the worker: what it knows, as signals, and hooks that watch lists and single things.
import { signal } from '@preact/signals';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

/* global WORKER_URL */

// state: connecting, loading, live, lost, denied, follower. The others tell what was known last, also when it is old.
export const connection = signal({ state: 'connecting' });
export const hello = signal(null);
export const summary = signal(null);

let worker;
let lastId = 0;
const listeners = new Map();

export function start() {
  worker = new Worker(WORKER_URL, { type: 'module' });
  worker.onmessage = ({ data }) => {
    if (data.type === 'status') onStatus(data.status);
    else if (data.type === 'hello') hello.value = data.hello;
    else if (data.type === 'summary') summary.value = data.summary;
    else listeners.get(data.id)?.(data);
  };
  worker.onerror = (e) => onStatus({ state: 'lost', error: `The page's own worker failed: ${e.message}` });
  worker.postMessage({ type: 'start', url: new URL('/page/events', location.href).href });
}

export const retry = () => worker.postMessage({ type: 'retry' });

// `since`: when the picture began to be old.
function onStatus(now) {
  const before = connection.value;
  const old = now.state !== 'live' && (before.state === 'live' ? Date.now() : before.since);
  connection.value = { ...now, since: old || undefined };
}

function watch(message, onMessage) {
  const id = ++lastId;
  listeners.set(id, onMessage);
  worker.postMessage({ ...message, id });
  return {
    id,
    forget() {
      listeners.delete(id);
      worker.postMessage({ type: 'forget', id });
    },
  };
}

const EMPTY = { total: 0, start: 0, rows: [], loading: true };

// A list of the worker as a source for <DataTable>: total, get(index) (null: not here yet), setWindow(start, count), hold(on).
// kind: tasks, agents, frameworks, roles. The query is a plain object; a new one with the same contents changes nothing.
export function useRows(kind, query, count = 60) {
  const [data, setData] = useState(EMPTY);
  const state = useRef({ start: 0, count });
  const text = JSON.stringify(query);
  useEffect(() => {
    const { start, count: n } = state.current;
    const w = watch({ type: 'watch', kind, query: JSON.parse(text), start, count: n }, setData);
    state.current.id = w.id;
    return w.forget;
  }, [kind, text]);
  const calls = useMemo(() => ({
    setWindow(start, n) {
      const s = state.current;
      if (start === s.start && n === s.count) return;
      Object.assign(s, { start, count: n });
      worker.postMessage({ type: 'window', id: s.id, start, count: n });
    },
    hold: (on) => worker.postMessage({ type: 'hold', id: state.current.id, on }),
  }), []);
  return { ...calls, id: data.id, total: data.total, loading: !!data.loading, get: (i) => data.rows[i - data.start] ?? null };
}

// Rows that the view has itself, as such a source.
export function useArray(rows) {
  return { total: rows?.length ?? 0, loading: !rows, get: (i) => rows[i] ?? null, setWindow() {}, hold() {} };
}

// One thing, live: undefined while asked for, null when the cluster has no such thing.
export function useOne(kind, match) {
  const [row, setRow] = useState(undefined);
  const text = JSON.stringify(match);
  useEffect(() => {
    setRow(undefined);
    // Before the first whole picture, "not there" is not known yet.
    return watch({ type: 'one', kind, match: JSON.parse(text) }, (m) => (m.row || m.ready) && setRow(m.row)).forget;
  }, [kind, text]);
  return row;
}

// All agents, frameworks or roles, with these fields only, as arrays in the order of `fields`: for pictures of the whole cluster.
export function useAll(kind, fields) {
  const [rows, setRows] = useState(null);
  const text = fields.join();
  useEffect(() => watch({ type: 'all', kind, fields: text.split(',') }, (m) => setRows(m.rows)).forget, [kind, text]);
  return rows;
}

// The time in seconds, by one clock for all ages that are shown: each second, or each quarter of a minute for what is old.
export const now = signal(Date.now() / 1000);
export const slowNow = signal(now.value);
setInterval(() => {
  now.value = Date.now() / 1000;
  if (now.value - slowNow.value >= 15) slowNow.value = now.value;
}, 1000);
