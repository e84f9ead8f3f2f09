// What is offered at the moment, to whom. The stream says how many; the offers themselves are asked for while somebody looks.
import { useMemo } from 'preact/hooks';
import { summary, useArray } from '../store.js';
import { link } from '../router.js';
import { call, useAsk } from '../lib/api.js';
import { CPUS, DISK, MEM } from '../lib/resources.js';
import { amount, fromList, plural, shortId } from '../lib/format.js';
import { SearchBox, setQuery, useQuery, useSort } from '../components/filters.jsx';
import { DataTable } from '../components/table.jsx';
import { Fault, Head } from '../components/parts.jsx';

const EVERY = 3000; // ms

const columns = [
  { key: 'framework', title: 'Framework', sort: true, width: 'minmax(8rem, 1fr)', cell: (o) => <a href={link('frameworks', o.frameworkId)}>{o.framework}</a> },
  { key: 'host', title: 'Agent', sort: true, width: 'minmax(8rem, 1fr)', cell: (o) => <a href={link('agents', o.agentId)}>{o.host}</a> },
  { key: 'role', title: 'Role', sort: true, min: 640, width: 'minmax(5rem, .6fr)', cell: (o) => o.role },
  { key: 'cpus', title: 'CPUs', sort: true, end: true, width: '5rem', cell: (o) => amount(o.cpus, CPUS) },
  { key: 'mem', title: 'Memory', sort: true, end: true, width: '6rem', cell: (o) => amount(o.mem, MEM) },
  { key: 'disk', title: 'Disk', sort: true, end: true, min: 760, width: '6rem', cell: (o) => amount(o.disk, DISK) },
  { key: 'id', title: 'Id', min: 1000, width: 'minmax(8rem, 1fr)', cell: (o) => <span class="mono soft" title={o.id}>{shortId(o.id)}</span> },
];

function flat(frameworks) {
  return frameworks.flatMap((f) => (f.offers ?? []).map((o) => {
    const [cpus, , mem, disk] = fromList(o.resources);
    return {
      id: o.id.value, framework: f.framework_info.name, frameworkId: f.framework_info.id.value, host: o.hostname, agentId: o.agent_id.value,
      role: o.allocation_info?.role ?? '', cpus, mem, disk,
    };
  }));
}

export default function Offers() {
  const q = useQuery();
  const { sort, onSort, order } = useSort('framework');
  const { data, error, again } = useAsk(({ signal }) => call('GET_FRAMEWORKS', null, { signal }), [], EVERY);
  const rows = useMemo(() => {
    if (!data) return null;
    const words = (q.q || '').toLowerCase().split(/\s+/).filter(Boolean);
    const found = flat(data.frameworks ?? []).filter((o) => words.every((w) => `${o.framework} ${o.host} ${o.role} ${o.id}`.toLowerCase().includes(w)));
    const sign = order.descending ? -1 : 1;
    return found.sort((a, b) => (a[order.sort] === b[order.sort] ? (a.id < b.id ? -1 : 1) : a[order.sort] < b[order.sort] ? -sign : sign));
  }, [data, q.q, order.sort, order.descending]);
  const source = useArray(rows);
  return (
    <>
      <Head title="Offers" />
      <div class="filters">
        <SearchBox label="Search offers" placeholder="Framework, host or role" value={q.q || ''} onInput={(text) => setQuery({ q: text })} />
        <span class="soft found-count" role="status">{rows ? plural(rows.length, 'offer') : ''}</span>
      </div>
      <Fault error={error} again={again} />
      <DataTable label="Offers" columns={columns} source={source} {...{ sort, onSort }} href={(o) => link('frameworks', o.frameworkId)}
        empty={summary.value?.offers ? 'No offer matches.' : 'Nothing is offered at the moment. Offers that frameworks answer at once are gone before they are seen.'} />
    </>
  );
}
