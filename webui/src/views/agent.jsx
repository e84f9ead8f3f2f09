// One agent: what it has, who uses it, what is reserved, how it is being taken out.
import { useOne } from '../store.js';
import { link } from '../router.js';
import { get, useAsk } from '../lib/api.js';
import { amount, duration, fromNanos, megabytes } from '../lib/format.js';
import { Ago, Facts, Fault, Head, NotThere, ResourceBars, Section, Waiting } from '../components/parts.jsx';
import { Usage } from '../components/usage.jsx';
import { useSort } from '../components/filters.jsx';
import { TasksTable, useTasks } from '../components/tasks_table.jsx';
import { AgentActions } from '../components/actions_agent.jsx';
import { GiveBack } from '../components/actions_resources.jsx';

export default function Agent({ id }) {
  const a = useOne('agents', { id });
  const { data, error, again } = useAsk(({ signal }) => get('/slaves', { slave_id: id }, { signal }), [id, a?.state, String(a?.reserved)]);
  const { sort, onSort, order } = useSort('state');
  const tasks = useTasks({ agent: id, state: 'live' }, order);
  if (a === null) return <NotThere what="agent" id={id}>It left the cluster, or was marked gone.</NotThere>;
  if (!a) return <Waiting />;
  const more = data?.slaves?.[0];
  return (
    <>
      <Head kind="Agent" title={a.hostname} state={a.state} sub={id}><a class="button" href={link('agents', id, 'log', { path: '/slave/log' })}>Log</a><AgentActions {...{ a, more, again }} /></Head>
      <Meaning a={a} drain={more?.drain_info} />
      <div class="columns">
        <Section title="Resources"><div class="panel"><ResourceBars {...a} /></div></Section>
        <Section title="About"><div class="panel"><About a={a} more={more} /></div></Section>
      </div>
      <Fault error={error} again={again} />
      <Reservations byRole={more?.reserved_resources_full} giveBack={(x) => <GiveBack {...{ a, again, ...x }} />} />
      {a.tasks > 0 && a.state !== 'unreachable' && <Usage agent={id} />}
      <Section title="Tasks" aside={<a href={link('tasks', { agent: id })}>All tasks of this agent, also ended ones</a>}>
        <TasksTable source={tasks} {...{ sort, onSort }} without="agent" fit empty="No task runs here." />
      </Section>
    </>
  );
}

const MEANINGS = {
  unreachable: ['bad', 'The agent does not answer. Its tasks may still run; the master knows nothing of them until it is back.', 'Look at the machine, its network and the agent\'s service. It comes back by itself.'],
  inactive: ['warn', 'The connection to the agent broke. The master waits for it and offers nothing there.', 'A restart of the agent looks like this for a moment. Tasks go on.'],
  recovered: ['warn', 'The agent is known from before this master led, and did not come back yet.', 'After --agent_reregister_timeout it counts as unreachable.'],
  deactivated: ['mute', 'An operator deactivated the agent: its tasks go on, and it is offered to nobody.', 'Reactivate it to use it again.'],
  drained: ['mute', 'The agent is drained: nothing runs there, and it is offered to nobody.', 'Do what the machine needs, then reactivate the agent.'],
};

// Why the agent is not simply active.
function Meaning({ a, drain }) {
  if (a.state === 'draining') {
    const grace = fromNanos(drain?.config?.max_grace_period);
    return (
      <div class="meaning busy">
        <p>The agent is draining: its tasks are ended, and it is offered to nobody. {a.tasks ? `${a.tasks} still run.` : 'None is left.'}</p>
        {drain && <p class="soft">{grace != null ? `Tasks get at most ${duration(grace)} to end.` : 'Tasks have the time to end that they ask for themselves.'}{drain.config?.mark_gone ? ' Then the agent is marked gone.' : ''}</p>}
      </div>
    );
  }
  const m = MEANINGS[a.state];
  return m ? <div class={`meaning ${m[0]}`}><p>{m[1]}</p><p class="soft">{m[2]}</p></div> : null;
}

function About({ a, more }) {
  const attributes = Object.entries(a.attributes ?? {});
  const ports = more?.resources?.ports;
  return (
    <>
      <Facts items={[
        ['Address', a.pid && <span class="mono">{a.pid.replace(/^.*@/, '')}</span>], ['Region', a.region], ['Zone', a.zone && <a href={link('agents', { zone: a.zone })}>{a.zone}</a>],
        ['Rack', a.rack], ['Version', a.version], ['Registered', <Ago time={a.registered} />],
        ['Came back', more?.reregistered_time && <Ago time={more.reregistered_time} />], ['Ports', ports],
      ]} />
      {attributes.length > 0 && <ul class="labels" aria-label="Attributes">{attributes.map(([k, v]) => <li key={k}><span class="soft">{k}</span> {v}</li>)}</ul>}
    </>
  );
}

// Reservations and persistent volumes, one line each.
function Reservations({ byRole, giveBack }) {
  const rows = Object.entries(byRole ?? {}).flatMap(([role, list]) => list.map((r) => ({ role, r })));
  if (!rows.length) return null;
  return (
    <Section title="Reservations and volumes">
      <div class="panel scroll"><table>
        <thead><tr><th scope="col">Role</th><th scope="col">Resource</th><th scope="col" class="end">Amount</th><th scope="col">Kind</th><th scope="col">By</th><th scope="col">Volume</th><th scope="col" class="end"><span class="hidden">Change</span></th></tr></thead>
        <tbody>{rows.map(({ role, r }, i) => {
          const last = r.reservations?.at(-1) ?? r.reservation;
          return (
            <tr key={i}>
              <td><a href={link('roles', { q: role })}>{role}</a></td>
              <td>{r.name}</td>
              <td class="end num">{quantity(r)}</td>
              <td>{last?.type === 'DYNAMIC' || r.reservation ? 'dynamic' : 'static'}</td>
              <td>{last?.principal ?? ''}</td>
              <td class="mono">{r.disk?.persistence ? `${r.disk.persistence.id} at ${r.disk.volume?.container_path ?? '?'}` : ''}</td>
              <td class="end">{giveBack({ role, r })}</td>
            </tr>
          );
        })}</tbody>
      </table></div>
    </Section>
  );
}

function quantity(r) {
  if (r.scalar) return r.name === 'mem' || r.name === 'disk' ? megabytes(r.scalar.value) : amount(r.scalar.value, 0);
  if (r.ranges) return r.ranges.range?.map((x) => `${x.begin}–${x.end}`).join(', ');
  return r.set?.item?.join(', ') ?? '';
}

