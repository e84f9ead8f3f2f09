// All roles: their share of the cluster as bars that move, weights, quota.
import { summary, useRows } from '../store.js';
import { link } from '../router.js';
import { CPUS, GPUS, MEM } from '../lib/resources.js';
import { amount, count, percent, plural } from '../lib/format.js';
import { SearchBox, setQuery, useQuery, useSort } from '../components/filters.jsx';
import { DataTable } from '../components/table.jsx';
import { Bar, Head } from '../components/parts.jsx';
import { ChangeRole, NewQuota } from '../components/actions_role.jsx';

// What of the cluster the role has, and how much of its quota: guarantee and limit are marked on the bar.
function Quota({ r, i }) {
  const g = r.guarantee?.[i], l = r.limit?.[i];
  if (!g && l == null) return <span class="soft">{amount(r.used[i], i)}</span>;
  const top = l ?? Math.max(g, r.used[i]);
  const text = [g ? `guaranteed ${amount(g, i)}` : null, l != null ? `limit ${amount(l, i)}` : 'no limit'].filter(Boolean).join(', ');
  return (
    <span class="used-cell" title={`${amount(r.used[i], i)} used, ${text}`}>
      <span>{amount(r.used[i], i)}<span class="soft"> / {g ? amount(g, i) : '0'}–{l != null ? amount(l, i) : '∞'}</span></span>
      <Bar used={r.used[i]} total={top} limit={g || null} label={`${amount(r.used[i], i)} used, ${text}`} />
    </span>
  );
}

const depth = (name) => name.split('/').length - 1;

const columns = [
  { key: 'name', title: 'Role', sort: true, width: 'minmax(7rem, 1.2fr)', cell: (r) => <span style={{ paddingLeft: `${depth(r.name) * 12}px` }}>{r.name}</span> },
  { key: 'share', title: 'Dominant share', sort: true, time: true, width: 'minmax(9rem, 1.6fr)', cell: (r) => <span class="share"><Bar used={r.share} total={1} label={`dominant share ${percent(r.share)}`} /><span class="num">{percent(r.share)}</span></span> },
  { key: 'weight', title: 'Weight', sort: true, end: true, min: 640, width: '4.5rem', cell: (r) => r.weight },
  { key: 'frameworks', title: 'Frameworks', sort: true, end: true, width: '6rem', min: 520, cell: (r) => <a href={link('frameworks', { role: r.name })}>{count(r.frameworks)}</a> },
  { key: 'cpus', title: 'CPUs', sort: 'used.cpus', end: true, min: 760, width: 'minmax(7rem, 1fr)', cell: (r) => <Quota r={r} i={CPUS} /> },
  { key: 'mem', title: 'Memory', sort: 'used.mem', end: true, min: 760, width: 'minmax(9rem, 1.2fr)', cell: (r) => <Quota r={r} i={MEM} /> },
  { key: 'offered', title: 'CPUs offered', sort: 'offered.cpus', end: true, min: 1360, width: '7rem', cell: (r) => amount(r.offered?.[CPUS], CPUS) },
  { key: 'reserved', title: 'CPUs reserved', sort: 'reserved.cpus', end: true, min: 1480, width: '7.5rem', cell: (r) => amount(r.reserved?.[CPUS], CPUS) },
  { key: 'tasks', title: 'Tasks', width: '4.5rem', min: 420, cell: (r) => <a href={link('tasks', { role: r.name, state: 'live' })} aria-label={`show tasks of ${r.name}`}>show</a> },
  { key: 'change', title: 'Change', end: true, width: '5.5rem', cell: (r) => <ChangeRole r={r} /> },
];
const gpus = { key: 'gpus', title: 'GPUs', sort: 'used.gpus', end: true, min: 1000, width: 'minmax(6rem, .8fr)', cell: (r) => <Quota r={r} i={GPUS} /> };
const withGpus = columns.toSpliced(5, 0, gpus);

export default function Roles() {
  const q = useQuery();
  const { sort, onSort, order } = useSort('name');
  const source = useRows('roles', { q: q.q, ...order });
  return (
    <>
      <Head title="Roles"><NewQuota /></Head>
      <div class="filters">
        <SearchBox label="Search roles" placeholder="Name" value={q.q || ''} onInput={(text) => setQuery({ q: text })} />
        <span class="soft found-count" role="status">{source.loading ? '' : plural(source.total, 'role')}</span>
      </div>
      <DataTable label="Roles" columns={summary.value?.sums.total[GPUS] ? withGpus : columns} source={source} {...{ sort, onSort }} empty="No role matches." />
      <p class="soft">The dominant share is the largest part of any of the cluster's resources that the role has. Fair sharing divides it by the weight; the role with the least comes first. Beside what is used stands quota: guaranteed–limit.</p>
    </>
  );
}
