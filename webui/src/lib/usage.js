// What containers use, from the statistics of an agent: totals that grow become rates between two samples.
// A sample: {at, cpu: seconds used so far, cpuLimit, mem: bytes, memLimit}.
export function sampleOf(statistics) {
  const s = statistics;
  if (!s?.timestamp) return null;
  return {
    at: s.timestamp, cpu: (s.cpus_user_time_secs ?? 0) + (s.cpus_system_time_secs ?? 0), cpuLimit: s.cpus_limit ?? null,
    mem: s.mem_total_bytes ?? s.mem_rss_bytes ?? null, memLimit: s.mem_limit_bytes ?? null,
  };
}

// Of several containers together; a container that came or went makes the sum no rate: it is left out until it was seen twice.
export class Series {
  constructor(keep = 300) {
    this.keep = keep;
    this.last = new Map();
    this.points = []; // {at, cpu: cores, mem: MB, cpuLimit, memLimit}
  }

  // entries: [[id, sample], ...] of one round. False when nothing new was in it: agents measure at most each second or so.
  add(entries) {
    const known = entries.filter(([, s]) => s);
    const fresh = known.filter(([id, s]) => this.last.has(id) && s.at > this.last.get(id).at);
    const changed = known.some(([id, s]) => this.last.get(id)?.at !== s.at);
    if (fresh.length) {
      const sum = (f) => fresh.reduce((total, [id, s]) => total + f(s, this.last.get(id)), 0);
      const limit = (name, unit) => (known.every(([, s]) => s[name] != null) ? known.reduce((t, [, s]) => t + s[name], 0) / unit : null);
      this.points = [...this.points, {
        at: Math.max(...fresh.map(([, s]) => s.at)),
        cpu: sum((s, before) => Math.max(0, s.cpu - before.cpu) / (s.at - before.at)),
        mem: known.reduce((t, [, s]) => t + (s.mem ?? 0), 0) / 1048576,
        cpuLimit: limit('cpuLimit', 1), memLimit: limit('memLimit', 1048576),
      }].slice(-this.keep);
    }
    if (changed) this.last = new Map(known);
    return fresh.length > 0;
  }
}
