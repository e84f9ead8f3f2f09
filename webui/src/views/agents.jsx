// All agents.
import { summary, useRows } from '../store.js';
import { link } from '../router.js';
import { CPUS, DISK, GPUS, MEM } from '../lib/resources.js';
import { count, plural } from '../lib/format.js';
import { Choices, Filter, SearchBox, setQuery, useQuery, useSort } from '../components/filters.jsx';
import { DataTable } from '../components/table.jsx';
import { Ago, Head, State, UsedCell } from '../components/parts.jsx';

const resource = (i, name, title, min) => ({ key: name, title, sort: `part.${name}`, end: true, min, width: 'minmax(8rem, 1fr)', cell: (a) => <UsedCell row={a} resource={i} /> });

// What the command line takes for an id, too: "S3". Several agents may have one host.
const shortId = (id) => id.slice(id.lastIndexOf('-') + 1);

const columns = [
  { key: 'hostname', title: 'Host', sort: true, width: 'minmax(9rem, 1.6fr)', cell: (a) => <><a href={href(a)} title={a.id}>{a.hostname}</a> <span class="soft">{shortId(a.id)}</span></> },
  { key: 'state', title: 'State', sort: true, width: '7.5rem', cell: (a) => <State state={a.state} /> },
  { key: 'zone', title: 'Zone', sort: true, min: 760, width: 'minmax(6rem, .8fr)', cell: (a) => [a.region, a.zone].filter(Boolean).join(' / ') },
  { key: 'rack', title: 'Rack', sort: true, min: 1300, width: 'minmax(4rem, .5fr)', cell: (a) => a.rack ?? '' },
  { key: 'tasks', title: 'Tasks', sort: true, end: true, min: 560, width: '4.5rem', cell: (a) => count(a.tasks) },
  resource(CPUS, 'cpus', 'CPUs'),
  resource(MEM, 'mem', 'Memory', 640),
  resource(DISK, 'disk', 'Disk', 1060),
  { key: 'version', title: 'Version', sort: true, min: 1500, width: '5rem', cell: (a) => a.version },
  { key: 'registered', title: 'Registered', sort: true, time: true, min: 1400, width: '7.5rem', cell: (a) => <Ago time={a.registered} /> },
];
const withGpus = columns.toSpliced(6, 0, resource(GPUS, 'gpus', 'GPUs', 960));

const href = (a) => link('agents', a.id);

export default function Agents() {
  const q = useQuery();
  const { sort, onSort, order } = useSort('hostname');
  const equal = { zone: q.zone || undefined, region: q.region || undefined, rack: q.rack || undefined };
  const source = useRows('agents', { q: q.q, state: q.state || undefined, equal, ...order });
  const s = summary.value;
  const states = [{ value: '', title: 'All', count: s?.counts.agents },
    ...['active', 'draining', 'drained', 'deactivated', 'inactive', 'unreachable', 'recovered'].filter((x) => s?.agents[x] || x === q.state)
      .map((x) => ({ value: x, title: x[0].toUpperCase() + x.slice(1), count: s?.agents[x] }))];
  return (
    <>
      <Head title="Agents" />
      <div class="filters">
        <SearchBox label="Search agents" placeholder="Host, id, zone, attribute (rack:b2)" value={q.q || ''} onInput={(text) => setQuery({ q: text })} />
        <Choices label="State" value={q.state || ''} options={states} onChange={(state) => setQuery({ state })} />
        {['region', 'zone', 'rack'].filter((n) => q[n]).map((n) => <Filter key={n} name={n} onRemove={() => setQuery({ [n]: null })}>{q[n]}</Filter>)}
        <span class="soft found-count" role="status">{source.loading ? '' : plural(source.total, 'agent')}</span>
      </div>
      <DataTable label="Agents" columns={s?.sums.total[GPUS] ? withGpus : columns} source={source} {...{ sort, onSort, href }} empty="No agent matches." />
    </>
  );
}
