// What the shell and the overview show: sums over everything, made at most once or twice a second in the worker.
import { STATES } from '../lib/states.js';
import { addTo, zero } from '../lib/resources.js';

const RECENT = 15 * 60; // seconds: how long a failed task counts as a problem
const NAMED = 5; // problems of one sort that are named; the others are counted

export function summarize(model, now) {
  return {
    ready: model.ready,
    offers: model.outstandingOffers,
    counts: { agents: model.agents.size, frameworks: countActive(model.frameworks), tasks: model.tasks.size, roles: model.roles.size },
    tasks: Object.fromEntries(STATES.map((s, i) => [s, model.tasks.counts[i]])),
    ...agents(model),
    frameworks: countBy(model.frameworks, 'state'),
    problems: problems(model, now),
  };
}

function countActive(frameworks) {
  let n = 0;
  for (const f of frameworks.byKey.values()) if (f.state !== 'completed') n++;
  return n;
}

function countBy(things, field) {
  const counts = {};
  for (const row of things.byKey.values()) counts[row[field]] = (counts[row[field]] || 0) + 1;
  return counts;
}

// Sums over the agents that are there, in all and by zone.
function agents(model) {
  const sums = { total: zero(), used: zero(), offered: zero(), reserved: zero() };
  const zones = new Map();
  const states = {};
  for (const a of model.agents.byKey.values()) {
    states[a.state] = (states[a.state] || 0) + 1;
    if (a.state === 'unreachable' || a.state === 'recovered') continue; // their resources are not there
    const name = `${a.region ?? ''}\n${a.zone ?? ''}`;
    let z = zones.get(name);
    if (!z) zones.set(name, (z = { region: a.region, zone: a.zone, agents: 0, tasks: 0, total: zero(), used: zero(), offered: zero() }));
    z.agents++;
    z.tasks += a.tasks || 0;
    for (const f of ['total', 'used', 'offered']) addTo(z[f], a[f]);
    for (const f of ['total', 'used', 'offered', 'reserved']) addTo(sums[f], a[f]);
  }
  const sorted = [...zones.entries()].sort((x, y) => (x[0] < y[0] ? -1 : 1)).map(([, z]) => z);
  return { sums, zones: sorted, agents: states };
}

const named = (rows, of) => ({ count: rows.length, some: rows.slice(0, NAMED).map(of) });

// Worst first: what the overview says in words.
function problems(model, now) {
  const agentsIn = (...states) => {
    const rows = [];
    for (const a of model.agents.byKey.values()) if (states.includes(a.state)) rows.push(a);
    return named(rows, (a) => ({ id: a.id, name: a.hostname }));
  };
  const frameworksIn = (...states) => {
    const rows = [];
    for (const f of model.frameworks.byKey.values()) if (states.includes(f.state)) rows.push(f);
    return named(rows, (f) => ({ id: f.id, name: f.name }));
  };
  const { byFramework, unhealthy } = model.tasks.trouble(now - RECENT);
  const failing = [...byFramework].sort((a, b) => b[1].count - a[1].count).map(([key, { count, last }]) => {
    const f = model.frameworks.byKey.get(key);
    return { id: f?.id, name: f?.name ?? '?', count, last: model.taskRow(last) };
  });
  const full = [];
  for (const r of model.roles.byKey.values()) {
    if (r.limit && r.limit.some((l, i) => l != null && l > 0 && r.used[i] >= l * 0.999)) full.push(r);
  }
  return {
    unreachable: agentsIn('unreachable'), inactive: agentsIn('inactive'), recovered: agentsIn('recovered'),
    leaving: agentsIn('draining', 'drained', 'deactivated'), disconnected: frameworksIn('disconnected', 'recovered'),
    failing: named(failing, (f) => f), failed: failing.reduce((n, f) => n + f.count, 0),
    unhealthy, unreachableTasks: model.tasks.counts[STATES.indexOf('UNREACHABLE')],
    atLimit: named(full, (r) => ({ id: r.name, name: r.name })),
  };
}
