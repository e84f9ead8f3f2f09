// Where each agent stands on the map: regions, zones and racks in order, and a place for every cell. No browser in here.
const words = new Intl.Collator('en', { numeric: true });
const byName = (a, b) => words.compare(a.name ?? '￿', b.name ?? '￿'); // what has no name comes last

function child(map, name) {
  let g = map.get(name);
  if (!g) map.set(name, (g = { name, children: new Map(), agents: [] }));
  return g;
}

const sorted = (map) => [...map.values()].sort(byName);

// agents: {hostname, region, zone, rack}. Zones (with their region) and their racks; each rack has the places of its agents in the list.
export function grouped(agents) {
  const zones = new Map();
  agents.forEach((a, i) => {
    const key = `${a.region ?? ''}\n${a.zone ?? ''}`;
    let z = zones.get(key);
    if (!z) zones.set(key, (z = { name: [a.region, a.zone].filter(Boolean).join(' / ') || null, region: a.region, zone: a.zone, racks: new Map() }));
    child(z.racks, a.rack ?? null).agents.push(i);
  });
  const list = sorted(zones);
  for (const z of list) {
    z.racks = sorted(z.racks);
    for (const r of z.racks) r.agents.sort((x, y) => words.compare(agents[x].hostname, agents[y].hostname));
  }
  return list;
}

const ZONE_HEAD = 22, RACK_HEAD = 15, GAP = 8, ZONE_GAP = 10; // px
const LARGEST = 26, SMALLEST = 5;
const SHAPES = [2, 3, 1.4, 1];

// All cells at one size: racks are blocks, `shape` times as wide as high, that fill lines; zone below zone. Not `wanted`: only its height.
function place(zones, width, { size, heads, shape }, wanted = true) {
  const cells = [], labels = [];
  const head = heads ? RACK_HEAD : 0;
  const gap = heads ? GAP : 4;
  let y = 0;
  for (const z of zones) {
    labels.push({ zone: true, text: z.name ?? 'no zone', x: 0, y });
    y += ZONE_HEAD;
    let x = 0, line = 0;
    for (const r of z.racks) {
      // Names of racks need some room.
      const columns = Math.max(1, Math.min(Math.floor(width / size), Math.max(heads ? Math.ceil(34 / size) : 1, Math.ceil(Math.sqrt(r.agents.length * shape)))));
      const w = columns * size, h = head + Math.ceil(r.agents.length / columns) * size;
      if (x > 0 && x + w > width) {
        x = 0;
        y += line + gap;
        line = 0;
      }
      if (heads) labels.push({ text: r.name ?? 'no rack', x, y, width: w });
      if (wanted) r.agents.forEach((agent, i) => cells.push({ agent, x: x + (i % columns) * size, y: y + head + Math.floor(i / columns) * size }));
      x += w + gap;
      line = Math.max(line, h);
    }
    y += line + ZONE_GAP;
  }
  return { size, cells, labels, height: Math.max(0, y - ZONE_GAP) };
}

// The largest cells with which everything fits; names of racks are left out before cells become too small to see, and when even that is too
// much the map is higher than asked.
export function layout(zones, width, height) {
  for (const [heads, least] of [[true, 6], [false, SMALLEST]]) {
    for (let size = LARGEST; size >= least; size--) {
      for (const shape of SHAPES) {
        const how = { size, heads, shape };
        if (place(zones, width, how, false).height <= height) return place(zones, width, how);
      }
    }
  }
  return place(zones, width, { size: SMALLEST + 3, heads: zones.every((z) => z.racks.length < 100), shape: 2 });
}

// The cell at a point, or -1; `grid` finds it without looking at all of them.
const BUCKET = 64;
export function index(cells, size) {
  const buckets = new Map();
  cells.forEach((c, i) => {
    for (const key of new Set([bucket(c.x, c.y), bucket(c.x + size - 1, c.y), bucket(c.x, c.y + size - 1), bucket(c.x + size - 1, c.y + size - 1)])) {
      if (!buckets.has(key)) buckets.set(key, []);
      buckets.get(key).push(i);
    }
  });
  return (x, y) => buckets.get(bucket(x, y))?.find((i) => x >= cells[i].x && x < cells[i].x + size && y >= cells[i].y && y < cells[i].y + size) ?? -1;
}
const bucket = (x, y) => Math.floor(x / BUCKET) * 100000 + Math.floor(y / BUCKET);

// The nearest cell in the direction of an arrow: straight ahead counts for more than beside.
export function step(cells, from, dx, dy) {
  const a = cells[from];
  let best = from, least = Infinity;
  cells.forEach((c, i) => {
    const ahead = (c.x - a.x) * dx + (c.y - a.y) * dy;
    if (ahead <= 0) return;
    const beside = Math.abs((c.x - a.x) * dy) + Math.abs((c.y - a.y) * dx);
    const far = ahead + beside * 3;
    if (far < least) [best, least] = [i, far];
  });
  return best;
}

// How full, as one of a few steps: 0 nothing, 1 up to a quarter, 2 half, 3 three quarters, 4 nine tenths, 5 more; -1 when there is none.
export function level(used, total) {
  if (!(total > 0)) return -1;
  const part = used / total;
  return part <= 0.001 ? 0 : part <= 0.25 ? 1 : part <= 0.5 ? 2 : part <= 0.75 ? 3 : part <= 0.9 ? 4 : 5;
}
export const LEVELS = ['unused', 'to 25 %', 'to 50 %', 'to 75 %', 'to 90 %', 'above 90 %'];

// What there is in each rack, in numbers: the map for those who do not see it.
export function counts(zones, agents, resource) {
  return zones.flatMap((z) => z.racks.map((r) => {
    const row = { region: z.region, zone: z.zone, rack: r.name, agents: r.agents.length, states: {}, used: 0, total: 0 };
    for (const i of r.agents) {
      const a = agents[i];
      row.states[a.state] = (row.states[a.state] ?? 0) + 1;
      row.used += a.used[resource] ?? 0;
      row.total += a.total[resource] ?? 0;
    }
    return row;
  }));
}
