// The cluster as the stream tells it, and the questions that the page asks of it. No clock and no network in here: worker.js has those.
import { STATES, stateCode, isLive } from '../lib/states.js';
import { reorder } from '../lib/resources.js';
import { shortId } from '../lib/format.js';
import { Tasks } from './tasks.js';
import { Things } from './things.js';
import { summarize } from './summary.js';

const RESOURCE_FIELDS = ['total', 'used', 'offered', 'reserved', 'guarantee', 'limit'];

export class Model {
  hello = null;
  ready = false;
  outstandingOffers = null;
  tasks = new Tasks();
  agents = new Things('key', ['id', 'hostname', 'pid', 'region', 'zone', 'rack', 'state', 'version', 'attributes']);
  frameworks = new Things('key', ['id', 'name', 'user', 'host', 'principal', 'roles', 'state']);
  roles = new Things('name', ['name']);
  // Counted up at each change: who remembers a number knows whether to look again.
  versions = { hello: 0, agents: 0, frameworks: 0, roles: 0, tasks: 0, offers: 0, ready: 0 };
  #order = reorder(null);

  // One event of the stream.
  apply(event, data) {
    if (event === 'hello') {
      this.hello = data;
      this.#order = reorder(data.resources);
      this.versions.hello++;
    } else if (event === 'tasks') {
      this.#eachRow(data, (row) => this.tasks.put(row, this.#order));
      this.versions.tasks++;
    } else if (event === 'agents' || event === 'frameworks' || event === 'roles') {
      this.#eachRow(data, (row) => {
        for (const f of RESOURCE_FIELDS) if (Array.isArray(row[f])) row[f] = this.#order(row[f]);
        // A master that was started again knows of an unreachable agent no more than its id.
        if (event === 'agents') row.hostname ??= shortId(row.id);
        this[event].put(row);
      });
      this.versions[event]++;
    } else if (event === 'gone') {
      for (const kind of ['agents', 'frameworks', 'roles', 'tasks']) {
        if (!data[kind]?.length) continue;
        for (const key of data[kind]) this[kind].remove(key);
        this.versions[kind]++;
      }
    } else if (event === 'ready') {
      this.ready = true;
      this.versions.ready++;
    } else if (event === 'beat') {
      if (data.outstanding_offers !== this.outstandingOffers) this.versions.offers++;
      this.outstandingOffers = data.outstanding_offers;
    }
  }

  // Columns are named in each event: a master that adds one does not break the page. The object is new for things, which keep it.
  #eachRow({ columns, rows }, put) {
    for (const values of rows) {
      const row = {};
      for (let i = 0; i < columns.length; i++) row[columns[i]] = values[i];
      put(row);
    }
  }

  // What matches a query, in its order: slots of tasks, or rows of things. See README.md for the queries.
  list(kind, query) {
    const words = (query.q || '').toLowerCase().split(/\s+/).filter(Boolean);
    if (kind === 'tasks') return this.#listTasks(query, words);
    const things = this[kind];
    const only = kind === 'frameworks' && query.role ? (f) => f.roles?.includes(query.role) : undefined;
    const rows = things.select({ words, states: states(query.state), equal: query.equal, only });
    return things.sort(rows, query.sort || (kind === 'agents' ? 'hostname' : 'name'), query.descending);
  }

  #listTasks(query, words) {
    const none = new Uint32Array(0);
    const filter = { words, role: query.role || null, unhealthy: query.unhealthy, since: query.since };
    if (query.state) {
      filter.states = STATES.map(() => false);
      for (const s of states(query.state)) {
        if (s === 'live') isLive.forEach((live, i) => live && (filter.states[i] = true));
        else if (s === 'ended') isLive.forEach((live, i) => live || (filter.states[i] = true));
        else filter.states[stateCode(s.toUpperCase())] = true;
      }
    }
    if (query.framework) {
      const f = this.frameworks.find(query.framework);
      if (!f) return none;
      filter.framework = f.key;
    }
    if (query.agent) {
      const a = this.agents.find(query.agent);
      if (!a) return none;
      filter.agents = new Set([a.key]);
    }
    filter.others = (word) => ({
      frameworks: this.frameworks.keysWith(word, ['name', 'id']),
      agents: this.agents.keysWith(word, ['hostname', 'id']),
    });
    const found = this.tasks.select(filter);
    const label = query.sort === 'framework' ? (s) => this.frameworks.byKey.get(this.tasks.framework[s])?.name
      : query.sort === 'agent' ? (s) => this.agents.byKey.get(this.tasks.agent[s])?.hostname : undefined;
    return this.tasks.sort(found, query.sort || 'at', query.descending ?? !query.sort, label);
  }

  // Rows for the page of a piece of a list.
  window(kind, list, start, count) {
    const rows = [];
    for (let i = start; i < Math.min(list.length, start + count); i++) rows.push(kind === 'tasks' ? this.taskRow(list[i]) : list[i]);
    return rows;
  }

  taskRow(slot) {
    const row = this.tasks.row(slot);
    if (!row) return null;
    const f = this.frameworks.byKey.get(row.frameworkKey), a = this.agents.byKey.get(row.agentKey);
    row.frameworkId = f?.id;
    row.frameworkName = f?.name;
    row.agentId = a?.id;
    row.hostname = a?.hostname;
    return row;
  }

  // One agent, framework, role or task by what its address says; null when the stream does not have it.
  one(kind, { id, framework }) {
    if (kind === 'roles') return this.roles.byKey.get(id) ?? null;
    if (kind !== 'tasks') return this[kind].find(id);
    const f = this.frameworks.find(framework);
    const slot = f ? this.tasks.find(f.key, id) : -1;
    return slot < 0 ? null : this.taskRow(slot);
  }

  summary(now) {
    return summarize(this, now);
  }
}

const states = (text) => (text ? (Array.isArray(text) ? text : text.split(',')) : undefined);
