// The worker: keeps the cluster, answers windows of rows. The page never holds more than it shows.
//
// From the page:  start {url}; retry; watch {id, kind, query, start, count}; window {id, start, count}; hold {id, on};
//                 one {id, kind, match}; all {id, kind, fields}; forget {id}
// To the page:    status {status: {state, error, retryAt}}; hello {hello}; summary {summary};
//                 rows {id, total, start, rows}; one {id, row}; all {id, rows}
import { Model } from './model.js';
import { Stream } from './stream.js';

const TICK = 250; // ms between looks at what changed
const SUMMARY = 500;
const ORDER = 500; // a list is searched and sorted again at most so often, and takes a fifth of the time at most

let model = new Model();
let next = null; // the model of a new connection, until it is whole: the page keeps the old picture meanwhile
const watches = new Map();
let summaryAt = 0;
let summarySeen = -1;
let timer = null;

const stream = (url) => new Stream(url, {
  onOpen() {
    next = new Model();
    if (!model.ready) model = next;
  },
  onEvent(name, data) {
    next.apply(name, data);
    if (name === 'hello' && next === model) postMessage({ type: 'hello', hello: data });
    if (name === 'ready') {
      if (model !== next) postMessage({ type: 'hello', hello: next.hello });
      model = next;
      summaryAt = 0;
      for (const w of watches.values()) w.orderedAt = w.cost = 0; // what was shown of a part is whole at once
    }
    if (model === next) wake(name === 'ready' ? 0 : TICK);
  },
  onState: (status) => postMessage({ type: 'status', status }),
});

let source = null;

const handlers = {
  start({ url }) {
    source = stream(url);
    source.start();
  },
  retry: () => source?.start(),
  watch({ id, kind, query, start, count }) {
    const w = { id, kind, query, start, count, list: null, model: null, orderedAt: 0, cost: 0 };
    watches.set(id, w);
    order(w);
    send(w);
  },
  window({ id, start, count }) {
    const w = watches.get(id);
    if (!w) return;
    Object.assign(w, { start, count });
    send(w);
  },
  hold({ id, on }) {
    const w = watches.get(id);
    if (w) w.held = on;
    wake(0);
  },
  one({ id, kind, match }) {
    const w = { id, one: true, kind, match };
    watches.set(id, w);
    send(w);
  },
  all({ id, kind, fields }) {
    const w = { id, kind, fields };
    watches.set(id, w);
    send(w);
  },
  forget: ({ id }) => watches.delete(id),
};

onmessage = ({ data }) => handlers[data.type](data);

function wake(after) {
  if (after === 0) {
    clearTimeout(timer);
    timer = null;
  }
  timer ??= setTimeout(tick, after);
}

function tick() {
  timer = null;
  const now = Date.now();
  let late = false; // something waits for a later tick
  if (summarySeen !== version(EVERYTHING)) {
    late = now - summaryAt < SUMMARY;
    if (!late) sendSummary(now);
  }
  for (const w of watches.values()) {
    if (w.model === model && w.seen === version(depends(w.kind))) continue;
    if (w.list && w.model === model && now - w.orderedAt < Math.max(ORDER, w.cost * 5)) {
      late = true;
      continue;
    }
    if (w.list && !(w.held && w.model === model)) order(w);
    send(w);
  }
  if (late) wake(TICK);
}

function sendSummary(now) {
  summaryAt = now;
  summarySeen = version(EVERYTHING);
  postMessage({ type: 'summary', summary: model.summary(now / 1000) });
}

const EVERYTHING = ['tasks', 'agents', 'frameworks', 'roles', 'offers', 'ready'];
// Rows of tasks name their framework and agent.
const depends = (kind) => (kind === 'tasks' ? ['tasks', 'agents', 'frameworks'] : [kind]);
const version = (kinds) => kinds.reduce((sum, k) => sum + model.versions[k], 0);

function order(w) {
  const begun = performance.now();
  w.list = model.list(w.kind, w.query);
  w.model = model;
  w.cost = performance.now() - begun;
  w.orderedAt = Date.now();
}

function send(w) {
  w.model = model;
  w.seen = version(depends(w.kind));
  if (w.one) postMessage({ type: 'one', id: w.id, row: model.one(w.kind, w.match), ready: model.ready });
  else if (w.fields) {
    const rows = [];
    for (const row of model[w.kind].byKey.values()) rows.push(w.fields.map((f) => row[f]));
    postMessage({ type: 'all', id: w.id, rows });
  } else {
    if (w.kind !== 'tasks') w.list = fresh(w);
    postMessage({ type: 'rows', id: w.id, total: w.list.length, start: w.start, rows: model.window(w.kind, w.list, w.start, w.count) });
  }
}

// A held list of things shows their newest values, in the old order.
function fresh(w) {
  const { byKey } = model[w.kind];
  const key = w.kind === 'roles' ? 'name' : 'key';
  return w.list.map((row) => byKey.get(row[key]) ?? row);
}
