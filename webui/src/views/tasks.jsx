// All tasks: searched, filtered and sorted by the worker, so that 100,000 of them scroll like ten.
import { summary, useOne } from '../store.js';
import { LIVE, STATES } from '../lib/states.js';
import { count, plural, shortId } from '../lib/format.js';
import { Choices, Filter, Hold, SearchBox, setQuery, useQuery, useSort } from '../components/filters.jsx';
import { TasksTable, useTasks } from '../components/tasks_table.jsx';
import { Head } from '../components/parts.jsx';

export default function Tasks() {
  const q = useQuery();
  const { sort, onSort, order } = useSort('-at');
  const source = useTasks({ q: q.q, state: q.state, framework: q.framework, agent: q.agent, role: q.role, unhealthy: q.health === 'bad' || undefined }, order);
  return (
    <>
      <Head title="Tasks" />
      <div class="filters">
        <SearchBox label="Search tasks" placeholder="Name, id, role, framework or agent" value={q.q || ''} onInput={(text) => setQuery({ q: text })} />
        <StateChoice value={q.state} />
        {q.framework && <FrameworkFilter id={q.framework} />}
        {q.agent && <AgentFilter id={q.agent} />}
        {q.role && <Filter name="role" onRemove={() => setQuery({ role: null })}>{q.role}</Filter>}
        {q.health && <Filter name="health" onRemove={() => setQuery({ health: null })}>unhealthy</Filter>}
        <Hold source={source} />
        <span class="soft found-count" role="status">{source.loading ? '' : plural(source.total, 'task')}</span>
      </div>
      <TasksTable source={source} sort={sort} onSort={onSort} />
    </>
  );
}

const GROUPS = [['', 'All'], ['live', 'Alive'], ['RUNNING', 'Running'], ['FAILED,ERROR,LOST,DROPPED,GONE', 'Failed'], ['ended', 'Ended']];

// The usual groups as buttons; each single state by the list beside them.
function StateChoice({ value = '' }) {
  const n = summary.value?.tasks;
  const sum = (states) => n && states.reduce((all, s) => all + n[s], 0);
  const counts = { '': STATES, live: [...LIVE], ended: STATES.filter((s) => !LIVE.has(s)) };
  const options = GROUPS.map(([v, title]) => ({ value: v, title, count: sum(counts[v] ?? v.split(',')) }));
  return (
    <>
      <Choices label="State" value={value} options={options} onChange={(state) => setQuery({ state })} />
      <select class="state-select" aria-label="One state" value={STATES.includes(value) ? value : ''} onChange={(e) => setQuery({ state: e.target.value })}>
        <option value="">Any state</option>
        {STATES.filter((s) => !n || n[s] || s === value).map((s) => <option key={s} value={s}>{s.toLowerCase().replaceAll('_', ' ')}{n ? ` (${count(n[s])})` : ''}</option>)}
      </select>
    </>
  );
}

function FrameworkFilter({ id }) {
  const f = useOne('frameworks', { id });
  return <Filter name="framework" onRemove={() => setQuery({ framework: null })}>{f?.name ?? shortId(id)}</Filter>;
}

function AgentFilter({ id }) {
  const a = useOne('agents', { id });
  return <Filter name="agent" onRemove={() => setQuery({ agent: null })}>{a?.hostname ?? shortId(id)}</Filter>;
}
