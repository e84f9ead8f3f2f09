// Numbers and times as people read them. Everything here takes what the master sends: MB for memory and disk, seconds for times.
import { MEM, DISK } from './resources.js';

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const some = new Intl.NumberFormat('en', { maximumFractionDigits: 2 });
const one = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

export const count = (n) => (n == null ? '–' : whole.format(n));
export const plural = (n, word, words = `${word}s`) => `${count(n)} ${n === 1 ? word : words}`;

export function megabytes(mb) {
  if (mb == null) return '–';
  const units = ['MB', 'GB', 'TB', 'PB'];
  let u = 0;
  while (Math.abs(mb) >= 1000 && u < units.length - 1) {
    mb /= 1024;
    u++;
  }
  return `${(mb >= 100 || u === 0 ? whole : one).format(mb)} ${units[u]}`;
}

export function bytes(n) {
  return n == null ? '–' : n < 1024 ? `${n} B` : n < 1024 * 1024 ? `${one.format(n / 1024)} KB` : megabytes(n / 1024 / 1024);
}

// A number of the resource with that place in RESOURCES.
export const amount = (v, i) => (v == null ? '–' : v === 0 ? '0' : i === MEM || i === DISK ? megabytes(v) : (v >= 1000 ? whole : some).format(v));

// All of an array that are not nothing: "2 CPUs, 1 GB".
const UNITS = [' CPU', ' GPU', '', ' disk'];
export function amounts(array) {
  if (!array) return '–';
  const parts = array.map((v, i) => (v ? amount(v, i) + UNITS[i] + (i < 2 && v !== 1 ? 's' : '') : null)).filter(Boolean);
  return parts.join(', ') || 'nothing';
}

export const percent = (part) => (part == null || !isFinite(part) ? '–' : part > 0 && part < 0.0005 ? '< 0.1 %' : `${one.format(part * 100)} %`);

// "12 s", "5 min", "3 h 20 min", "4 d"
export function duration(seconds) {
  if (seconds == null || !isFinite(seconds)) return '–';
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return s % 3600 < 60 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d`;
}

// One unit is enough for how long ago something was.
export const ago = (time, now) => (time ? (now - time < 1 ? 'now' : `${duration(now - time).replace(/ h .*/, ' h')} ago`) : '–');

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const date = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const precise = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3, hour12: false });
export const when = (time) => (time ? clock.format(time * 1000) : '–');
// The time of day, to the millisecond; with the day when that is not today.
export function clockTime(time) {
  if (!time) return '–';
  const day = new Date(time * 1000).toDateString();
  return (day === new Date().toDateString() ? '' : `${date.format(time * 1000)}, `) + precise.format(time * 1000);
}

// Ids of Mesos are long and alike in front: what differs is the end.
export const shortId = (id) => (id == null ? '–' : /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}-/.test(id) ? `…${id.slice(37)}` : id);

// A Resource list of the v1 or legacy JSON as an array in our order; ranges and sets are left out.
const NAMES = { cpus: 0, gpus: 1, mem: 2, disk: 3 };
export function fromList(list) {
  const out = [0, 0, 0, 0];
  for (const r of list ?? []) if (NAMES[r.name] !== undefined) out[NAMES[r.name]] += r.scalar?.value || 0;
  return out;
}

// "cpus(*):4; mem(prod):1024; ports(*):[1-9]", as /explain has it: only what is a number. Roles other than `mine` are named.
export function fromText(text, mine) {
  const parts = [];
  for (const p of (text || '').split('; ')) {
    const [, name, role, value] = /^(\w+)(?:\(([^),]*)[^)]*\))?:([\d.]+)$/.exec(p) ?? [];
    if (name in NAMES) parts.push(amounts(Object.values(NAMES).map((i) => (i === NAMES[name] ? Number(value) : 0))) + (role && role !== '*' && role !== mine ? ` (${role})` : ''));
  }
  return parts.join(', ');
}

// A TimeInfo or DurationInfo: {nanoseconds}.
export const fromNanos = (t) => (t?.nanoseconds == null ? null : Number(t.nanoseconds) / 1e9);
