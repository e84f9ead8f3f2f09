// The table of tasks: of the whole cluster, of a framework, of an agent.
import { useMemo } from 'preact/hooks';
import { useRows } from '../store.js';
import { link } from '../router.js';
import { CPUS, MEM } from '../lib/resources.js';
import { amount } from '../lib/format.js';
import { DataTable } from './table.jsx';
import { Ago, State } from './parts.jsx';

const columns = [
  { key: 'name', title: 'Name', sort: true, width: 'minmax(9rem, 2fr)', cell: (t) => <a href={href(t)} title={t.name}>{t.name}</a> },
  { key: 'id', title: 'Id', sort: true, min: 1100, width: 'minmax(9rem, 2fr)', cell: (t) => <span class="mono soft" title={t.id}>{t.id === t.name ? '' : t.id}</span> },
  { key: 'state', title: 'State', sort: true, width: '7.5rem', cell: (t) => (t.healthy === false && t.state === 'RUNNING' ? <State state="FAILED">unhealthy</State> : <State state={t.state} />) },
  { key: 'framework', title: 'Framework', sort: true, min: 700, width: 'minmax(7rem, 1fr)', cell: (t) => <a href={link('frameworks', t.frameworkId ?? '')}>{t.frameworkName}</a> },
  { key: 'agent', title: 'Agent', sort: true, min: 860, width: 'minmax(7rem, 1fr)', cell: (t) => (t.agentId ? <a href={link('agents', t.agentId)}>{t.hostname}</a> : <span class="soft">–</span>) },
  { key: 'role', title: 'Role', sort: true, min: 1240, width: 'minmax(5rem, .6fr)', cell: (t) => t.role },
  { key: 'cpus', title: 'CPUs', sort: true, end: true, min: 960, width: '4.5rem', cell: (t) => amount(t.resources[CPUS], CPUS) },
  { key: 'mem', title: 'Memory', sort: true, end: true, min: 960, width: '5.5rem', cell: (t) => amount(t.resources[MEM], MEM) },
  { key: 'started', title: 'Started', sort: true, time: true, min: 1400, width: '6.5rem', cell: (t) => <Ago time={t.started} /> },
  { key: 'at', title: 'Changed', sort: true, time: true, width: '6.5rem', cell: (t) => <Ago time={t.at} /> },
];

const href = (t) => link('tasks', t.frameworkId ?? '', t.id);

export function useTasks(query, order) {
  return useRows('tasks', { ...query, ...order });
}

// `without`: a column that says nothing here.
export function TasksTable({ source, sort, onSort, without, ...rest }) {
  const shown = useMemo(() => columns.filter((c) => c.key !== without), [without]);
  return <DataTable label="Tasks" columns={shown} source={source} {...{ sort, onSort, href }} empty="No task matches." {...rest} />;
}
