// One framework: what it holds, its tasks and offers, and why it waits.
import { useOne } from '../store.js';
import { link } from '../router.js';
import { call, useAsk } from '../lib/api.js';
import { amounts, fromList, plural } from '../lib/format.js';
import { Ago, Facts, Head, NotThere, Section, Waiting } from '../components/parts.jsx';
import { useSort } from '../components/filters.jsx';
import { TasksTable, useTasks } from '../components/tasks_table.jsx';
import { WhyItWaits } from '../components/why.jsx';
import { FrameworkActions } from '../components/actions_framework.jsx';

const MEANINGS = {
  disconnected: ['warn', 'The scheduler is not connected. Its tasks go on; when it stays away for longer than its failover timeout, they are ended.'],
  inactive: ['warn', 'The framework is connected and not active: it is offered nothing.'],
  recovered: ['warn', 'Agents told this master of the framework, which did not subscribe again yet. Its tasks go on.'],
  completed: ['mute', 'The framework ended or was removed. Its tasks were ended with it.'],
};

export default function Framework({ id }) {
  const f = useOne('frameworks', { id });
  const { sort, onSort, order } = useSort('-at');
  const tasks = useTasks({ framework: id, state: 'live' }, order);
  if (f === null) return <NotThere what="framework" id={id}>It ended long ago, or never subscribed here.</NotThere>;
  if (!f) return <Waiting />;
  const m = MEANINGS[f.state];
  return (
    <>
      <Head kind="Framework" title={f.name || f.id} state={f.state} sub={id}><FrameworkActions f={f} /></Head>
      {m && <div class={`meaning ${m[0]}`}><p>{m[1]}</p></div>}
      <Section title="About"><div class="panel"><About f={f} /></div></Section>
      {f.state !== 'completed' && <WhyItWaits id={id} />}
      {f.state !== 'completed' && <Offers id={id} offered={f.offered} />}
      <Section title="Tasks" aside={<a href={link('tasks', { framework: id })}>All its tasks, also ended ones</a>}>
        <TasksTable source={tasks} {...{ sort, onSort }} without="framework" fit empty="No task is alive." />
      </Section>
    </>
  );
}

// A framework names its own page; only addresses of the web become links.
const safe = (url) => (/^https?:\/\//.test(url ?? '') ? url : null);

function About({ f }) {
  const roles = f.roles?.flatMap((r, i) => [i ? ', ' : '', <a key={r} href={link('roles', { q: r })}>{r}</a>]);
  return (
    <Facts items={[
      ['Roles', roles], ['In use', amounts(f.used)], ['Offered now', amounts(f.offered)], ['Tasks', plural(f.tasks ?? 0, 'task')],
      ['User', f.user], ['Principal', f.principal], ['Host', f.host], ['Registered', <Ago time={f.registered} />],
      ['Its own page', safe(f.webui_url) && <a href={safe(f.webui_url)} rel="noreferrer" target="_blank">{f.webui_url}</a>],
    ]} />
  );
}

// Asked for again when the sum of what is offered changes.
function Offers({ id, offered }) {
  const some = offered?.some((v) => v > 0);
  const { data } = useAsk(({ signal }) => (some ? call('GET_FRAMEWORKS', null, { signal }) : null), [id, String(offered)]);
  const mine = data?.frameworks?.find((x) => x.framework_info.id.value === id);
  if (!some || !mine?.offers?.length) return null;
  return (
    <Section title="Offers">
      <div class="panel scroll short"><table>
        <thead><tr><th scope="col">Agent</th><th scope="col">Resources</th><th scope="col">Role</th></tr></thead>
        <tbody>{mine.offers.slice(0, 100).map((o) => (
          <tr key={o.id.value}><td><a href={link('agents', o.agent_id.value)}>{o.hostname}</a></td><td>{amounts(fromList(o.resources))}</td><td>{o.allocation_info?.role}</td></tr>
        ))}</tbody>
      </table></div>
      {mine.offers.length > 100 && <p class="soft">And {plural(mine.offers.length - 100, 'other')}. <a href="#/offers">All offers</a></p>}
    </Section>
  );
}
