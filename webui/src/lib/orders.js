// What forms say, as the bodies of operator calls. No browser in here: the tests use it.
import { RESOURCES, TITLES } from './resources.js';

const MB = ['mem', 'disk'];
export const unit = (name) => (MB.includes(name) ? 'MB' : '');
export const titleOf = (name) => TITLES[RESOURCES.indexOf(name)] + (unit(name) && `, ${unit(name)}`);

// "31000-31005, 31010" as ranges.
export function ranges(text) {
  return text.split(',').map((s) => s.trim()).filter(Boolean).map((part) => {
    const [, from, to] = /^(\d+)(?:\s*[-–]\s*(\d+))?$/.exec(part) ?? [];
    const begin = Number(from), end = Number(to ?? from);
    if (!from || begin > end || end > 65535) throw new Error(`“${part}” is no range of ports: 31000-31005 is one.`);
    return { begin, end };
  });
}

// Numbers by name, and ports as text, as a list of Resources; each on top of the reservation that is given.
export function resourcesOf({ ports, ...amounts }, reservation) {
  const list = [];
  for (const name of RESOURCES) if (amounts[name] > 0) list.push({ name, type: 'SCALAR', scalar: { value: amounts[name] } });
  if (ports?.trim()) list.push({ name: 'ports', type: 'RANGES', ranges: { range: ranges(ports) } });
  if (!list.length) throw new Error('Say how much: all fields are empty.');
  return list.map((r) => ({ ...r, reservations: [reservation] }));
}

export function reservation(role, principal) {
  return principal ? { type: 'DYNAMIC', role, principal } : { type: 'DYNAMIC', role };
}

// What is given back has to be named exactly as it was reserved. /slaves shows it in an older form beside the newer one, and with whom it is
// allocated to: neither belongs into a call.
export function asReserved(r, role) {
  const old = r.reservation;
  const exact = { ...r, reservations: r.reservations?.length ? r.reservations : [{ type: old ? 'DYNAMIC' : 'STATIC', role, ...old }] };
  for (const name of ['role', 'reservation', 'allocation_info']) delete exact[name];
  return exact;
}

export const isVolume = (r) => !!r.disk?.persistence;
export const isDynamic = (r, role) => asReserved(r, role).reservations.at(-1).type !== 'STATIC';

// A volume on reserved disk: like the disk, with an id and a size.
export function volumeOn(disk, { id, path, mb, principal }) {
  const persistence = principal ? { id, principal } : { id };
  return { ...disk, scalar: { value: mb }, disk: { ...disk.disk, persistence, volume: { mode: 'RW', container_path: path || id } } };
}

// Fields "guarantee-cpus", "limit-cpus" as a QuotaConfig. What is empty is left out: no guarantee, no limit.
export function quotaOf(role, values) {
  const part = (prefix) => Object.fromEntries(RESOURCES.filter((n) => values[`${prefix}-${n}`] != null).map((n) => [n, { value: values[`${prefix}-${n}`] }]));
  const guarantees = part('guarantee'), limits = part('limit');
  for (const n of RESOURCES) {
    if (guarantees[n] && limits[n] && guarantees[n].value > limits[n].value) throw new Error(`${TITLES[RESOURCES.indexOf(n)]}: the guarantee is larger than the limit.`);
    if (guarantees[n]?.value === 0) delete guarantees[n];
  }
  return { role, guarantees, limits };
}

// "90", "90 s", "10 min", "2h", "1 d" in seconds; null when empty.
const SECONDS = { s: 1, sec: 1, m: 60, min: 60, h: 3600, d: 86400 };
export function secondsOf(text) {
  if (!text.trim()) return null;
  const [, number, name] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text) ?? [];
  const seconds = Number(number) * SECONDS[(name || 's').toLowerCase()];
  if (!(seconds >= 0)) throw new Error(`“${text}” is no duration: 90 s, 10 min, 2 h and 1 d are some.`);
  return seconds;
}

export const nanos = (seconds) => ({ nanoseconds: Math.round(seconds * 1e9) });

// ---- the maintenance schedule ----

const lower = (text) => (text ?? '').toLowerCase();
export const sameMachine = (a, b) => lower(a.hostname) === lower(b.hostname) && (a.ip ?? '') === (b.ip ?? '');

// "slave(1)@10.0.0.7:5051", "slave(1)@[::1]:5051": an agent is on the machine of its host name and its address.
export function machineOf(agent) {
  const ip = /@\[?([^\]]*?)\]?:\d+$/.exec(agent.pid ?? '')?.[1];
  return ip ? { hostname: agent.hostname, ip } : { hostname: agent.hostname };
}

export const machineName = (m) => (m.hostname && m.ip ? `${m.hostname} (${m.ip})` : m.hostname || m.ip || '?');

// The windows without these machines; windows that are empty then go.
export function without(windows, machines) {
  return windows.map((w) => ({ ...w, machine_ids: (w.machine_ids ?? []).filter((m) => !machines.some((x) => sameMachine(x, m))) })).filter((w) => w.machine_ids.length);
}

// The windows with one more. A machine is in one window at most: it leaves the one it was in.
export function withWindow(windows, machines, start, seconds) {
  const once = machines.filter((m, i) => machines.findIndex((x) => sameMachine(x, m)) === i);
  const unavailability = seconds == null ? { start: nanos(start) } : { start: nanos(start), duration: nanos(seconds) };
  return [...without(windows, once), { machine_ids: once, unavailability }];
}

// What the schedule and the status say together: each window with its machines and their states.
export function windowsWithStates(windows, status) {
  const draining = status?.draining_machines ?? [], down = status?.down_machines ?? [];
  const stateOf = (id) => {
    if (down.some((m) => sameMachine(m, id))) return { id, state: 'down', answers: [] };
    const d = draining.find((m) => sameMachine(m.id, id));
    return { id, state: d ? 'draining' : 'up', answers: d?.statuses ?? [] };
  };
  return (windows ?? []).map((w) => {
    const start = Number(w.unavailability?.start?.nanoseconds ?? 0) / 1e9;
    const length = w.unavailability?.duration?.nanoseconds;
    return { start, end: length == null ? null : start + Number(length) / 1e9, machines: (w.machine_ids ?? []).map(stateOf) };
  });
}
