// A made-up cluster: the same one for the same numbers, changing by chance that is the same each time.
import { answers } from './answers.mjs';

const AGENTS = ['key', 'id', 'hostname', 'pid', 'region', 'zone', 'rack', 'state', 'version', 'registered', 'total', 'used', 'offered', 'reserved', 'attributes', 'tasks'];
const FRAMEWORKS = ['key', 'id', 'name', 'user', 'host', 'principal', 'roles', 'state', 'webui_url', 'registered', 'used', 'offered', 'tasks'];
const ROLES = ['name', 'weight', 'frameworks', 'share', 'used', 'offered', 'reserved', 'guarantee', 'limit'];
const TASKS = ['key', 'framework', 'id', 'name', 'agent', 'role', 'state', 'at', 'healthy', 'resources', 'executor', 'started'];
const SIZES = [[0.1, 0, 64, 0], [0.2, 0, 512, 1000], [0.3, 0, 1024, 100], [0.5, 0, 2048, 4000], [1, 0, 4096, 0]];
const ID = '5f9c2d1e-8a44-4e0b-9d55-3b1f0c7a6e21';

const zero = () => [0, 0, 0, 0];
const of = (name, value, more) => ({ name, type: 'SCALAR', scalar: { value }, reservations: [{ type: 'DYNAMIC', role: 'prod', principal: 'p-1' }], ...more });
const reservations = () => [of('cpus', 4), of('mem', 8192), of('disk', 2048, { disk: { persistence: { id: 'db-data', principal: 'p-1' }, volume: { container_path: 'data', mode: 'RW' } } })];
const add = (a, b, sign = 1) => b.forEach((v, i) => (a[i] = Math.round((a[i] + sign * v) * 1000) / 1000));
const now = () => Date.now() / 1000;

export class Cluster {
  #seed = 1;
  #key = 0;
  tasks = new Map();
  changed = { agents: new Set(), frameworks: new Set(), tasks: new Set() };
  gone = [];
  goneAgents = [];
  windows = []; // of the maintenance schedule
  down = [];

  constructor({ agents, tasks, frameworks }) {
    const jobs = ['web', 'ingest', 'batch-score', 'search', 'spark-etl', 'ml-train', 'metrics', 'cron', 'cache', 'gateway', 'video', 'mail'];
    const roles = ['prod', 'prod/web', 'batch', 'data', 'data/spark', 'ml', 'ops', '*'];
    this.roles = roles.map((name, i) => ({ name, weight: [4, 1, 1, 2, 1, 2, 1, 1][i], guarantee: i === 0 ? [agents * 2, 0, agents * 4096, 0] : null, limit: i === 2 ? [agents * 2, null, agents * 8192, null] : null }));
    this.agents = Array.from({ length: agents }, (_, i) => {
      const zone = 'abc'[i % 3], gpus = i % 25 === 0 ? 4 : 0;
      return {
        key: ++this.#key, id: `${ID}-S${i}`, hostname: `node-${zone}${String(i).padStart(4, '0')}.example`, pid: `slave(1)@10.${i >> 8}.${i & 255}.7:5051`,
        region: 'eu-west', zone, rack: `${zone}${1 + ((i / 3) | 0) % 20}`, state: i % 197 === 196 ? 'unreachable' : i % 151 === 150 ? 'draining' : i % 223 === 222 ? 'deactivated' : 'active',
        version: '1.12.0', registered: now() - this.#random() * 9e5, total: [16 + 16 * (i % 3), gpus, 65536 * (1 + (i % 3)), 500000], used: zero(), offered: zero(), reserved: i % 9 ? zero() : [4, 0, 8192, 0],
        attributes: { rack: `${zone}${1 + ((i / 3) | 0) % 20}`, kind: gpus ? 'gpu' : 'plain' }, tasks: 0, list: i % 9 ? [] : reservations(),
      };
    });
    this.frameworks = Array.from({ length: frameworks }, (_, i) => ({
      key: ++this.#key, id: `${ID}-${String(i).padStart(4, '0')}`, name: jobs[i % jobs.length] + (i >= jobs.length ? `-${i}` : ''), user: i % 3 ? 'svc' : 'root', host: `sched-${i}.example`, principal: i % 2 ? `p-${i}` : null,
      roles: [roles[i % roles.length]], state: i === 7 ? 'disconnected' : i === frameworks - 1 ? 'completed' : 'active', webui_url: i % 2 ? null : `http://sched-${i}.example/`, registered: now() - this.#random() * 8e5, used: zero(), offered: zero(), tasks: 0,
    }));
    for (let i = 0; i < tasks; i++) this.#launch(now() - this.#random() * 86400, this.#random() < 0.8 ? 'RUNNING' : this.#pick(['FINISHED', 'FINISHED', 'FINISHED', 'KILLED', 'FINISHED']));
    for (const s of Object.values(this.changed)) s.clear();
  }

  // A small generator with a seed: chance that is the same each time.
  #random() {
    this.#seed = (this.#seed * 48271) % 2147483647;
    return this.#seed / 2147483647;
  }
  #pick(list) {
    return list[Math.floor(this.#random() * list.length)];
  }

  // The emptiest of some.
  #roomy() {
    const full = (a) => Math.max(a.used[0] / a.total[0], a.used[2] / a.total[2]);
    return [1, 2, 3, 4].map(() => this.#pick(this.agents)).sort((a, b) => full(a) - full(b))[0];
  }

  #launch(at, state) {
    const f = this.#pick(this.frameworks.slice(0, -1)), a = this.#roomy();
    const key = ++this.#key;
    const name = `${f.name}.${this.#pick(['api', 'worker', 'shard', 'db'])}`;
    const t = { key, framework: f.key, id: `${name}.${(key * 7919).toString(36)}`, name, agent: a.key, role: f.roles[0], state, at, healthy: this.#random() < 0.5 ? null : true, resources: this.#pick(SIZES), executor: null, started: at, f, a };
    if (a.state === 'unreachable' && state === 'RUNNING') t.state = 'UNREACHABLE';
    this.tasks.set(key, t);
    this.#count(t, 1);
    this.#touch(t);
  }

  #count(t, sign) {
    if (!['RUNNING', 'STAGING', 'STARTING', 'KILLING'].includes(t.state)) return;
    for (const x of [t.f, t.a]) {
      add(x.used, t.resources, sign);
      x.tasks += sign;
    }
  }
  #touch(t) {
    this.changed.tasks.add(t);
    this.changed.agents.add(t.a);
    this.changed.frameworks.add(t.f);
  }
  #set(t, state) {
    this.#count(t, -1);
    Object.assign(t, { state, at: now() });
    this.#count(t, 1);
    this.#touch(t);
  }

  offers() {
    return this.agents.filter((a) => a.offered[0]).length;
  }

  // About n changes; the events that tell of them.
  step(n) {
    const all = [...this.tasks.values()];
    for (let i = 0; i < n; i++) {
      const t = this.#pick(all);
      if (t.state === 'STAGING') this.#set(t, 'RUNNING');
      else if (t.state === 'RUNNING') {
        if (this.#random() < 0.3) this.#set(t, this.#random() < 0.03 ? 'FAILED' : 'FINISHED');
        else if (this.#random() < 0.001) { t.healthy = false; this.#touch(t); }
      } else {
        this.tasks.delete(t.key);
        this.gone.push(t.key);
        this.#launch(now(), 'STAGING');
      }
    }
    for (let i = 0; i < 3; i++) {
      const a = this.#pick(this.agents);
      if (a.state === 'active') a.offered = a.offered[0] ? zero() : a.total.map((v, j) => Math.max(0, v - a.used[j]));
      this.changed.agents.add(a);
    }
    const events = [
      ['agents', { columns: AGENTS, rows: rows(this.changed.agents, AGENTS) }], ['frameworks', { columns: FRAMEWORKS, rows: rows(this.changed.frameworks, FRAMEWORKS) }],
      ['roles', this.#roles()], ...chunks(rows(this.changed.tasks, TASKS)), ['gone', { tasks: this.gone, agents: this.goneAgents }],
    ];
    this.gone = [];
    this.goneAgents = [];
    for (const s of Object.values(this.changed)) s.clear();
    return events;
  }

  #roles() {
    const total = zero();
    for (const a of this.agents) add(total, a.total);
    return { columns: ROLES, rows: this.roles.map((r) => {
      const own = this.frameworks.filter((f) => f.state !== 'completed' && f.roles.some((x) => x === r.name || x.startsWith(`${r.name}/`)));
      const used = zero();
      for (const f of own) add(used, f.used);
      const share = Math.max(...used.map((v, i) => (total[i] ? v / total[i] : 0)));
      return [r.name, r.weight, own.length, share, used, zero(), r.name === 'prod' ? [40, 0, 81920, 0] : zero(), r.guarantee, r.limit];
    }) };
  }

  picture() {
    return [
      ['hello', { version: 1, cluster: 'harbour', hostname: 'master-1.example', master_version: '0.6.0', id: ID, leader: 'master-1.example:5050', started: now() - 90000, elected: now() - 86000, principal: 'operator', resources: ['cpus', 'gpus', 'mem', 'disk'], interval_ms: 250 }],
      ['agents', { columns: AGENTS, rows: rows(this.agents, AGENTS) }], ['frameworks', { columns: FRAMEWORKS, rows: rows(this.frameworks, FRAMEWORKS) }], ['roles', this.#roles()], ...chunks(rows(this.tasks.values(), TASKS)),
    ];
  }

  answer(url, body) {
    return answers(this, url, body);
  }
}

const rows = (things, columns) => Array.from(things, (x) => columns.map((c) => x[c]));

function chunks(all) {
  const out = [];
  for (let i = 0; i < all.length; i += 1000) out.push(['tasks', { columns: TASKS, rows: all.slice(i, i + 1000) }]);
  return out;
}
