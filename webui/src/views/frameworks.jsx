// All frameworks; those that ended stay in sight as long as the master remembers them.
import { summary, useRows } from '../store.js';
import { link } from '../router.js';
import { CPUS, MEM } from '../lib/resources.js';
import { amount, count, plural } from '../lib/format.js';
import { Choices, Filter, SearchBox, setQuery, useQuery, useSort } from '../components/filters.jsx';
import { DataTable } from '../components/table.jsx';
import { Ago, Head, State } from '../components/parts.jsx';

const href = (f) => link('frameworks', f.id);

const columns = [
  { key: 'name', title: 'Name', sort: true, width: 'minmax(9rem, 1.6fr)', cell: (f) => <a href={href(f)} title={f.id}>{f.name || f.id}</a> },
  { key: 'state', title: 'State', sort: true, width: '7.5rem', cell: (f) => <State state={f.state} /> },
  { key: 'roles', title: 'Roles', sort: true, min: 640, width: 'minmax(6rem, 1fr)', cell: (f) => f.roles?.join(', ') },
  { key: 'user', title: 'User', sort: true, min: 1000, width: 'minmax(5rem, .6fr)', cell: (f) => f.user },
  { key: 'principal', title: 'Principal', sort: true, min: 1240, width: 'minmax(5rem, .8fr)', cell: (f) => f.principal ?? '' },
  { key: 'host', title: 'Host', sort: true, min: 1100, width: 'minmax(6rem, 1fr)', cell: (f) => f.host },
  { key: 'tasks', title: 'Tasks', sort: true, end: true, width: '4.5rem', cell: (f) => count(f.tasks) },
  { key: 'cpus', title: 'CPUs', sort: 'used.cpus', end: true, min: 520, width: '5rem', cell: (f) => amount(f.used?.[CPUS], CPUS) },
  { key: 'mem', title: 'Memory', sort: 'used.mem', end: true, min: 520, width: '6rem', cell: (f) => amount(f.used?.[MEM], MEM) },
  { key: 'offered', title: 'CPUs offered', sort: 'offered.cpus', end: true, min: 900, width: '7rem', cell: (f) => amount(f.offered?.[CPUS], CPUS) },
  { key: 'registered', title: 'Registered', sort: true, time: true, min: 800, width: '7.5rem', cell: (f) => <Ago time={f.registered} /> },
];

const CURRENT = 'active,inactive,disconnected,recovered';

export default function Frameworks() {
  const q = useQuery();
  const { sort, onSort, order } = useSort('name');
  const state = q.state ?? CURRENT;
  const source = useRows('frameworks', { q: q.q, role: q.role, state: state === 'all' ? undefined : state, ...order });
  const n = summary.value?.frameworks ?? {};
  const sum = (states) => states.split(',').reduce((all, s) => all + (n[s] || 0), 0);
  const options = [
    { value: CURRENT, title: 'Current', count: sum(CURRENT) }, { value: 'disconnected,recovered', title: 'Away', count: sum('disconnected,recovered') },
    { value: 'completed', title: 'Completed', count: sum('completed') }, { value: 'all', title: 'All' },
  ];
  return (
    <>
      <Head title="Frameworks" />
      <div class="filters">
        <SearchBox label="Search frameworks" placeholder="Name, id, role, user, host" value={q.q || ''} onInput={(text) => setQuery({ q: text })} />
        <Choices label="State" value={state} options={options} onChange={(s) => setQuery({ state: s === CURRENT ? null : s })} />
        {q.role && <Filter name="role" onRemove={() => setQuery({ role: null })}>{q.role}</Filter>}
        <span class="soft found-count" role="status">{source.loading ? '' : plural(source.total, 'framework')}</span>
      </div>
      <DataTable label="Frameworks" columns={columns} source={source} {...{ sort, onSort, href }} empty="No framework matches." />
    </>
  );
}
