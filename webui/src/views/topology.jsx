// Every agent of the cluster as a small cell, by zone and rack: what is full, what is missing, where.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { useAll } from '../store.js';
import { go, link } from '../router.js';
import { theme } from '../lib/theme.js';
import { RESOURCES, TITLES } from '../lib/resources.js';
import { amount, count, percent, plural } from '../lib/format.js';
import { LEVELS, counts, grouped, index, layout, step } from '../lib/topology.js';
import { Choices, setQuery, useQuery } from '../components/filters.jsx';
import { Head, State, Waiting } from '../components/parts.jsx';
import { colours, draw, look, mark, redraw } from '../components/topology_draw.js';

const FIELDS = ['id', 'hostname', 'region', 'zone', 'rack', 'state', 'used', 'total', 'tasks'];

export default function Topology() {
  const rows = useAll('agents', FIELDS);
  const q = useQuery();
  const agents = useMemo(() => rows?.map((r) => Object.fromEntries(FIELDS.map((f, i) => [f, r[i]]))), [rows]);
  const zones = useZones(agents);
  if (!agents) return <><Head title="Topology" /><Waiting /></>;
  const resource = q.by === 'state' ? -1 : Math.max(0, RESOURCES.indexOf(q.by));
  const has = (i) => agents.some((a) => a.total[i] > 0);
  const options = [...RESOURCES.map((n, i) => ({ value: n, title: TITLES[i] })).filter((o, i) => i === 0 || has(i)), { value: 'state', title: 'State only' }];
  const table = q.table === '1';
  return (
    <>
      <Head title="Topology" />
      <div class="filters">
        <Choices label="What the colour shows" value={resource < 0 ? 'state' : RESOURCES[resource]} options={options} onChange={(by) => setQuery({ by: by === 'cpus' ? null : by })} />
        <button aria-pressed={table} onClick={() => setQuery({ table: table ? null : '1' })}>As a table</button>
        <span class="soft found-count">{plural(agents.length, 'agent')}</span>
      </div>
      {agents.length ? <Picture agents={agents} zones={zones} resource={resource} /> : <p class="panel soft">No agent is there.</p>}
      <Table rows={counts(zones, agents, Math.max(0, resource))} resource={Math.max(0, resource)} shown={table} />
    </>
  );
}

// The groups change rarely, the numbers all the time: grouped again only when an agent comes, goes or moves.
function useZones(agents) {
  const last = useRef({ places: null, zones: [] });
  if (!agents) return last.current.zones;
  const before = last.current.places;
  const same = before?.length === agents.length && agents.every((a, i) => before[i].id === a.id && before[i].rack === a.rack && before[i].zone === a.zone && before[i].region === a.region);
  if (!same) last.current = { places: agents, zones: grouped(agents) };
  return last.current.zones;
}

function Picture({ agents, zones, resource }) {
  const frame = useRef(), canvas = useRef();
  const [room, setRoom] = useState(null);
  const [at, setAt] = useState(-1);
  useLayoutEffect(() => {
    // As high as the window leaves, with the legend below.
    const measure = () => setRoom({ width: frame.current.clientWidth, height: Math.max(240, globalThis.innerHeight - frame.current.getBoundingClientRect().top - 64) });
    const observer = new ResizeObserver(measure);
    observer.observe(frame.current);
    addEventListener('resize', measure);
    measure();
    return () => {
      observer.disconnect();
      removeEventListener('resize', measure);
    };
  }, []);
  const map = useMemo(() => room && layout(zones, room.width, room.height), [zones, room?.width, room?.height]);
  const find = useMemo(() => map && index(map.cells, map.size), [map]);
  const colour = useColours(frame);
  const drawn = useRef({});
  useLayoutEffect(() => {
    if (!map || !colour) return;
    const scale = globalThis.devicePixelRatio || 1;
    const el = canvas.current;
    const ctx = el.getContext('2d');
    const d = drawn.current;
    const start = performance.now();
    let name = 'map-changes';
    if (d.map === map && d.resource === resource && d.colour === colour && d.scale === scale) {
      redraw(ctx, map, agents, resource, colour, d.looks);
    } else {
      name = 'map-whole';
      Object.assign(el, { width: Math.round(room.width * scale), height: Math.round(map.height * scale) }); // also empties it
      ctx.setTransform(scale, 0, 0, scale, 0, 0);
      drawn.current = { map, resource, colour, scale, looks: draw(ctx, map, agents, resource, colour, room.width) };
    }
    performance.clearMeasures(name); // only the last one is kept, for dev/map.mjs
    performance.measure(name, { start });
  }, [map, agents, resource, colour]);

  const cell = map?.cells[at];
  const agent = cell && agents[cell.agent];
  const keys = (e) => {
    const to = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (to) setAt(at < 0 ? 0 : step(map.cells, at, ...to));
    else if (e.key === 'Home') setAt(0);
    else if (e.key === 'End') setAt(map.cells.length - 1);
    else if (e.key === 'Escape') setAt(-1);
    else if (e.key === 'Enter' && agent) go(link('agents', agent.id));
    else return;
    e.preventDefault();
  };
  const under = (e) => {
    const r = canvas.current.getBoundingClientRect();
    return find(e.clientX - r.left, e.clientY - r.top);
  };
  // A finger that has not seen yet what is there: the first touch tells, the second opens.
  const touched = useRef(-1);
  const click = (e) => {
    const i = under(e);
    const known = e.pointerType !== 'touch' || touched.current === i;
    touched.current = i;
    setAt(i);
    if (i >= 0 && known) go(link('agents', agents[map.cells[i].agent].id));
  };
  return (
    <div class="map">
      <div class="map-frame" ref={frame} role="application" tabindex={0} aria-label={`Map of ${plural(agents.length, 'agent')}. Arrows move, Enter opens. The same is below as a table.`}
        onKeyDown={keys} onFocus={() => at < 0 && frame.current.matches(':focus-visible') && setAt(0)} onBlur={() => setAt(-1)}>
        <canvas ref={canvas} aria-hidden="true" style={{ width: '100%', height: `${map?.height ?? 0}px` }} class={at >= 0 ? 'pointed' : undefined}
          onPointerMove={(e) => e.pointerType !== 'touch' && setAt(under(e))} onPointerLeave={(e) => e.pointerType !== 'touch' && setAt(-1)} onClick={click} />
        {agent && <i class="map-here" style={{ left: `${cell.x - 2}px`, top: `${cell.y - 2}px`, width: `${map.size + 3}px`, height: `${map.size + 3}px` }} />}
        {agent && <Tip a={agent} cell={cell} room={room} size={map.size} height={map.height} />}
      </div>
      <p class="hidden" role="status">{agent && sentence(agent)}</p>
      <Legend agents={agents} resource={resource} colour={colour} />
    </div>
  );
}

const useOf = (a) => RESOURCES.map((n, i) => (a.total[i] > 0 ? `${TITLES[i]} ${percent(a.used[i] / a.total[i])} of ${amount(a.total[i], i)}` : null)).filter(Boolean);
const placeOf = (a) => [a.region, a.zone, a.rack && `rack ${a.rack}`].filter(Boolean).join(' / ');
const sentence = (a) => `${a.hostname}, ${a.state}, ${placeOf(a)}; ${useOf(a).join(', ')}; ${plural(a.tasks ?? 0, 'task')}`;

// Beside the cell, on the side where there is room.
function Tip({ a, cell, room, size, height }) {
  const right = cell.x > room.width / 2, low = cell.y > height / 2;
  const style = {
    [right ? 'right' : 'left']: `${right ? room.width - cell.x + 6 : cell.x + size + 6}px`,
    [low ? 'bottom' : 'top']: `${low ? height - cell.y - size : cell.y}px`,
  };
  return (
    <div class="map-tip" style={style} aria-hidden="true">
      <p><strong>{a.hostname}</strong> <State state={a.state} /></p>
      <p class="soft">{placeOf(a)}</p>
      {useOf(a).map((t) => <p key={t}>{t}</p>)}
      <p>{plural(a.tasks ?? 0, 'task')}</p>
    </div>
  );
}

// Read again when the colours change.
function useColours(ref) {
  const [c, set] = useState(null);
  useEffect(() => {
    const read = () => set(colours(ref.current));
    read();
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', read);
    return () => dark.removeEventListener('change', read);
  }, [theme.value]);
  return c;
}

const MARKED = ['unreachable', 'inactive', 'recovered', 'draining', 'drained', 'deactivated'];

function Legend({ agents, resource, colour }) {
  const n = {};
  for (const a of agents) {
    const kind = look(a, resource);
    n[kind] = (n[kind] ?? 0) + 1;
  }
  const levels = resource < 0 ? [['active', 'active']] : LEVELS.map((words, i) => [`use${i}`, words]);
  const lines = [...levels, ['use-1', `no ${TITLES[Math.max(0, resource)]}`], ...MARKED.map((s) => [s, s])].filter(([kind]) => n[kind] || /^use\d/.test(kind) || kind === 'active');
  return (
    <ul class="legend" aria-label={resource < 0 ? 'Legend' : `Legend: use of ${TITLES[resource]}`}>
      {resource >= 0 && <li class="soft">{TITLES[resource]} used</li>}
      {lines.map(([kind, words]) => <li key={kind}><Sample kind={kind} colour={colour} />{words} <span class="soft num">{count(n[kind] ?? 0)}</span></li>)}
    </ul>
  );
}

const SAMPLE = 12;

function Sample({ kind, colour }) {
  const ref = useRef();
  useEffect(() => {
    if (!colour) return;
    const scale = globalThis.devicePixelRatio || 1;
    Object.assign(ref.current, { width: SAMPLE * scale, height: SAMPLE * scale });
    const ctx = ref.current.getContext('2d');
    ctx.scale(scale, scale);
    mark(ctx, kind, 0, 0, SAMPLE, colour);
  }, [kind, colour]);
  return <canvas ref={ref} class="sample" aria-hidden="true" />;
}

// The same in numbers: always there for readers of the screen, to be seen when asked for.
function Table({ rows, resource, shown }) {
  return (
    <div class={shown ? 'panel scroll' : 'hidden'}><table>
      <caption class="hidden">Agents by region, zone and rack</caption>
      <thead><tr><th scope="col">Region</th><th scope="col">Zone</th><th scope="col">Rack</th><th scope="col" class="end">Agents</th><th scope="col">Not active</th><th scope="col" class="end">{TITLES[resource]} used</th></tr></thead>
      <tbody>{rows.map((r) => (
        <tr key={`${r.region} ${r.zone} ${r.rack}`}>
          <td>{r.region ?? '–'}</td><td>{r.zone ?? '–'}</td>
          <th scope="row">{shown && r.rack ? <a href={link('agents', { region: r.region, zone: r.zone, rack: r.rack })}>{r.rack}</a> : r.rack ?? '–'}</th>
          <td class="end num">{count(r.agents)}</td>
          <td>{Object.entries(r.states).filter(([s]) => s !== 'active').map(([s, n]) => `${count(n)} ${s}`).join(', ') || 'none'}</td>
          <td class="end num">{percent(r.total ? r.used / r.total : 0)} of {amount(r.total, resource)}</td>
        </tr>
      ))}</tbody>
    </table></div>
  );
}
