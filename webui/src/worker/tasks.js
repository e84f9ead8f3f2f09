// All tasks of the cluster in columns: arrays by slot, so that 100,000 tasks are some megabytes and a filter is a loop over numbers.
// Runs in the worker; also in node, for its tests.
import { STATES, stateCode, isTrouble, isLive } from '../lib/states.js';

const WIDTH = 4; // numbers of resources a task
const FIRST = 1024;

// Equal texts (roles, executors) are kept once and compared as numbers.
class Words {
  list = [''];
  #codes = new Map([['', 0]]);

  code(text) {
    if (text == null) return 0;
    let c = this.#codes.get(text);
    if (c === undefined) this.#codes.set(text, (c = this.list.push(text) - 1));
    return c;
  }
  find(text) {
    return this.#codes.get(text);
  }
}

export class Tasks {
  size = 0;
  #slots = new Map(); // key -> slot
  #free = [];
  #top = 0; // slots below it were used at least once
  #cap = FIRST;
  ids = [];
  names = [];
  #texts = []; // id and name in small letters, made when first searched
  roles = new Words();
  executors = new Words();
  counts = new Int32Array(STATES.length);
  // Numbers; -1 in `key` marks a free slot.
  key = new Float64Array(FIRST).fill(-1);
  framework = new Int32Array(FIRST);
  agent = new Int32Array(FIRST);
  role = new Int32Array(FIRST);
  executor = new Int32Array(FIRST);
  state = new Uint8Array(FIRST);
  healthy = new Int8Array(FIRST);
  at = new Float64Array(FIRST);
  started = new Float64Array(FIRST);
  resources = new Float64Array(FIRST * WIDTH);

  #grow() {
    this.#cap *= 2;
    for (const name of ['key', 'framework', 'agent', 'role', 'executor', 'state', 'healthy', 'at', 'started', 'resources']) {
      const old = this[name];
      const grown = new old.constructor(old.length * 2);
      grown.set(old);
      if (name === 'key') grown.fill(-1, old.length);
      this[name] = grown;
    }
  }

  #slotOf(key) {
    let slot = this.#slots.get(key);
    if (slot !== undefined) {
      this.counts[this.state[slot]]--;
      return slot;
    }
    slot = this.#free.pop() ?? this.#top++;
    if (slot >= this.#cap) this.#grow();
    this.#slots.set(key, slot);
    this.key[slot] = key;
    this.size++;
    return slot;
  }

  // One row of the stream, named by column. `order` puts its resources in our order.
  put(row, order) {
    const s = this.#slotOf(row.key);
    this.ids[s] = row.id;
    this.names[s] = row.name;
    this.#texts[s] = undefined;
    this.framework[s] = row.framework;
    this.agent[s] = row.agent ?? -1;
    this.role[s] = this.roles.code(row.role);
    this.executor[s] = this.executors.code(row.executor);
    this.state[s] = stateCode(row.state);
    this.counts[this.state[s]]++;
    this.healthy[s] = row.healthy == null ? -1 : Number(row.healthy);
    this.at[s] = row.at ?? Infinity; // no status yet: newer than all that have one
    this.started[s] = row.started || 0;
    const r = order(row.resources);
    for (let i = 0; i < WIDTH; i++) this.resources[s * WIDTH + i] = r?.[i] || 0;
  }

  remove(key) {
    const s = this.#slots.get(key);
    if (s === undefined) return;
    this.counts[this.state[s]]--;
    this.#slots.delete(key);
    this.#free.push(s);
    this.key[s] = -1;
    this.ids[s] = this.names[s] = this.#texts[s] = undefined;
    this.size--;
  }

  // Every used slot, in no order.
  *slots() {
    for (let s = 0; s < this.#top; s++) if (this.key[s] >= 0) yield s;
  }

  #text(s) {
    const id = this.ids[s], name = this.names[s];
    return (this.#texts[s] ??= (id === name ? id : `${id}\n${name}`).toLowerCase());
  }

  // The slots that pass. `words` are small-letter parts that must all be in id, name or role, or in the names of framework and agent:
  // `others(word)` says which keys of those match it. Nothing given passes everything.
  select({ states, framework, agents, role, unhealthy, since, words = [], others }) {
    const out = new Uint32Array(this.size);
    const also = words.map((w) => others?.(w));
    const roleHits = words.map((w) => this.roles.list.map((r) => r.toLowerCase().includes(w)));
    const wantRole = role == null ? -1 : this.roles.find(role) ?? -2;
    let n = 0;
    for (let s = 0; s < this.#top; s++) {
      if (this.key[s] < 0) continue;
      if (states && !states[this.state[s]]) continue;
      if (framework != null && this.framework[s] !== framework) continue;
      if (agents && !agents.has(this.agent[s])) continue;
      if (wantRole !== -1 && this.role[s] !== wantRole) continue;
      if (unhealthy && this.healthy[s] !== 0) continue;
      if (since && this.at[s] < since) continue;
      let pass = true;
      for (let w = 0; pass && w < words.length; w++) {
        pass = this.#text(s).includes(words[w]) || roleHits[w][this.role[s]] ||
          !!also[w]?.frameworks.has(this.framework[s]) || !!also[w]?.agents.has(this.agent[s]);
      }
      if (pass) out[n++] = s;
    }
    return out.subarray(0, n);
  }

  // Sorts slots in place by a column; equal ones by key, so that rows do not change places for nothing. `label(slot)` gives the text of
  // columns that this table does not have itself (names of frameworks and agents).
  sort(slots, column, descending, label) {
    const rank = this.#ranks(slots, column, label);
    const sign = descending ? -1 : 1;
    const key = this.key;
    return slots.sort((a, b) => (rank[a] === rank[b] ? key[a] - key[b] : rank[a] < rank[b] ? -sign : sign));
  }

  // A number for each slot that orders as the column does.
  #ranks(slots, column, label) {
    const at = ['cpus', 'gpus', 'mem', 'disk'].indexOf(column);
    if (at >= 0) {
      const rank = new Float64Array(this.#top);
      for (const s of slots) rank[s] = this.resources[s * WIDTH + at];
      return rank;
    }
    if (column === 'at' || column === 'started' || column === 'state') return this[column];
    const text = column === 'id' ? (s) => this.ids[s] : column === 'name' ? (s) => this.names[s]
      : column === 'role' ? (s) => this.roles.list[this.role[s]] : label;
    if (!text) return this.at;
    // Texts are compared once each, when there are many equal ones: sort what is different, then rank by number.
    const codes = new Map();
    for (const s of slots) codes.set(text(s) ?? '', 0);
    [...codes.keys()].sort().forEach((t, i) => codes.set(t, i));
    const rank = new Int32Array(this.#top);
    for (const s of slots) rank[s] = codes.get(text(s) ?? '');
    return rank;
  }

  // An object for the page; null when the slot is free by now.
  row(s) {
    if (!(this.key[s] >= 0)) return null;
    return {
      key: this.key[s], id: this.ids[s], name: this.names[s], frameworkKey: this.framework[s], agentKey: this.agent[s],
      role: this.roles.list[this.role[s]], executor: this.executors.list[this.executor[s]], state: STATES[this.state[s]],
      healthy: this.healthy[s] < 0 ? null : this.healthy[s] === 1, at: isFinite(this.at[s]) ? this.at[s] : null, started: this.started[s],
      resources: Array.from(this.resources.subarray(s * WIDTH, s * WIDTH + WIDTH)),
    };
  }

  find(framework, id) {
    for (let s = 0; s < this.#top; s++) if (this.framework[s] === framework && this.ids[s] === id && this.key[s] >= 0) return s;
    return -1;
  }

  // How many of each framework went wrong since then, and the last of them; and live tasks that are not healthy.
  trouble(since) {
    const byFramework = new Map();
    let unhealthy = 0;
    for (let s = 0; s < this.#top; s++) {
      if (this.key[s] < 0) continue;
      if (this.healthy[s] === 0 && isLive[this.state[s]]) unhealthy++;
      if (!isTrouble[this.state[s]] || this.at[s] < since) continue;
      const f = byFramework.get(this.framework[s]);
      if (!f) byFramework.set(this.framework[s], { count: 1, last: s });
      else {
        f.count++;
        if (this.at[s] > this.at[f.last]) f.last = s;
      }
    }
    return { byFramework, unhealthy };
  }
}
