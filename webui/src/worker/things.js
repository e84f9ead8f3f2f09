// Agents, frameworks and roles: some thousands of objects by key, with the same questions asked of them as of the tasks.
import { RESOURCES } from '../lib/resources.js';

export class Things {
  byKey = new Map();
  #keyName;
  #texts; // the fields that a search looks into

  constructor(keyName, texts) {
    this.#keyName = keyName;
    this.#texts = texts;
  }

  get size() {
    return this.byKey.size;
  }
  put(row) {
    this.byKey.set(row[this.#keyName], row);
  }
  remove(key) {
    this.byKey.delete(key);
  }
  find(id) {
    for (const row of this.byKey.values()) if (row.id === id) return row;
    return null;
  }

  text(row) {
    // Kept beside the row, which is replaced whole when it changes.
    return (row.text ??= this.#texts.map((f) => textOf(row[f])).join('\n').toLowerCase());
  }

  // The keys of all that have the word somewhere: for a search over their tasks.
  keysWith(word, fields) {
    const keys = new Set();
    for (const [key, row] of this.byKey) if (fields.some((f) => textOf(row[f]).toLowerCase().includes(word))) keys.add(key);
    return keys;
  }

  select({ words = [], states, equal = {}, only }) {
    const out = [];
    for (const row of this.byKey.values()) {
      if (states && !states.includes(row.state)) continue;
      if (!Object.entries(equal).every(([f, v]) => v == null || row[f] === v)) continue;
      if (only && !only(row)) continue;
      if (words.every((w) => this.text(row).includes(w))) out.push(row);
    }
    return out;
  }

  sort(rows, column, descending) {
    const value = valueOf(column);
    const sign = descending ? -1 : 1;
    const key = this.#keyName;
    return rows.sort((a, b) => {
      const x = value(a), y = value(b);
      if (x === y) return a[key] < b[key] ? -1 : 1;
      if (x == null) return 1; // what has none comes last, either way
      if (y == null) return -1;
      return sign * (x < y ? -1 : 1);
    });
  }
}

function textOf(v) {
  if (v == null) return '';
  if (typeof v === 'object') return Object.entries(v).map(([k, x]) => (Array.isArray(v) ? x : `${k}:${x}`)).join('\n');
  return String(v);
}

// "used.cpus" is a number of an array, "free.mem" what is left, anything else a field.
function valueOf(column) {
  const [field, resource] = column.split('.');
  if (!resource) return (row) => (Array.isArray(row[field]) ? row[field].join() : row[field]);
  const i = RESOURCES.indexOf(resource);
  if (field === 'free') return (row) => row.total[i] - row.used[i] - row.offered[i];
  if (field === 'part') return (row) => (row.total[i] ? row.used[i] / row.total[i] : -1);
  return (row) => row[field]?.[i];
}
