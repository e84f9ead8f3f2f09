// Machines that are to be away, or are: the schedule with its windows, and agents that are drained one by one.
import { slowNow, useAll, useOne, useRows } from '../store.js';
import { link } from '../router.js';
import { call, useAsk } from '../lib/api.js';
import { count, duration, fromNanos, plural, shortId, when } from '../lib/format.js';
import { machineName, machineOf, sameMachine, windowsWithStates } from '../lib/orders.js';
import { Ago, Fault, Head, Section, State, Waiting } from '../components/parts.jsx';
import { DataTable } from '../components/table.jsx';
import { reactivate } from '../components/actions_agent.jsx';
import { addWindow, endMaintenance, removeMachines, startMaintenance } from '../components/actions_maintenance.jsx';

const EVERY = 3000; // ms: the stream does not tell of the schedule

async function ask({ signal }) {
  const [schedule, status] = await Promise.all([call('GET_MAINTENANCE_SCHEDULE', null, { signal }), call('GET_MAINTENANCE_STATUS', null, { signal })]);
  return windowsWithStates(schedule?.schedule?.windows, status?.status);
}

export default function Maintenance() {
  const { data, error, again } = useAsk(ask, [], EVERY);
  const then = (done) => done && again();
  return (
    <>
      <Head title="Maintenance"><button class="primary" onClick={() => addWindow().then(then)}>Schedule maintenance</button></Head>
      <Fault error={error} again={again} />
      {!data && !error && <Waiting />}
      {data && <Windows windows={data} then={then} />}
      <Leaving />
    </>
  );
}

function Windows({ windows, then }) {
  const agents = useAll('agents', ['id', 'hostname', 'pid', 'tasks', 'state']) ?? [];
  const known = agents.map(([id, hostname, pid, tasks, state]) => ({ id, tasks, state, machine: machineOf({ hostname, pid }) }));
  if (!windows.length) return <Section title="Windows"><p class="panel soft">No maintenance is scheduled. A window tells frameworks when machines will be away, so that they leave in time.</p></Section>;
  return windows.toSorted((a, b) => a.start - b.start).map((w, i) => <Window key={`${w.start} ${i}`} w={w} known={known} then={then} />);
}

function Window({ w, known, then }) {
  const now = slowNow.value;
  const ids = (state) => w.machines.filter((m) => m.state === state).map((m) => m.id);
  const open = ids('draining'), down = ids('down');
  const phase = now < w.start ? `begins in ${duration(w.start - now)}` : w.end == null ? 'has begun, open end' : now < w.end ? `ends in ${duration(w.end - now)}` : `was to end ${duration(now - w.end)} ago`;
  return (
    <Section title={when(w.start)} id={`window-${w.start}`} aside={<span class="soft">{phase}</span>}>
      <div class="panel window">
        <div class="window-head">
          <p>{plural(w.machines.length, 'machine')}, {w.end == null ? 'no end is set' : `until ${when(w.end)} (${duration(w.end - w.start)})`}</p>
          <div class="buttons">
            {open.length > 0 && <button class="danger" onClick={() => startMaintenance(open).then(then)}>Take {open.length === w.machines.length ? 'all' : count(open.length)} down</button>}
            {down.length > 0 && <button onClick={() => endMaintenance(down).then(then)}>Bring {down.length === w.machines.length ? 'all' : count(down.length)} up</button>}
            {down.length === 0 && <button onClick={() => removeMachines(w.machines.map((m) => m.id)).then(then)}>Remove the window</button>}
          </div>
        </div>
        <div class="scroll"><table>
          <thead><tr><th scope="col">Machine</th><th scope="col">State</th><th scope="col" class="end">Tasks</th><th scope="col">Frameworks say</th><th scope="col" class="end"><span class="hidden">Change</span></th></tr></thead>
          <tbody>{w.machines.map((m) => <Machine key={machineName(m.id)} m={m} agents={known.filter((a) => sameMachine(a.machine, m.id))} then={then} />)}</tbody>
        </table></div>
      </div>
    </Section>
  );
}

const STATES = { draining: ['draining', 'scheduled'], down: ['unreachable', 'down'], up: ['active', 'up'] };

function Machine({ m, agents, then }) {
  const [tone, words] = STATES[m.state];
  return (
    <tr>
      <td>{agents.length ? <a href={link('agents', agents[0].id)}>{m.id.hostname || m.id.ip}</a> : m.id.hostname || m.id.ip} <span class="soft mono">{m.id.hostname && m.id.ip}</span></td>
      <td><State state={tone}>{words}</State></td>
      <td class="end num">{agents.length ? count(agents.reduce((n, a) => n + (a.tasks ?? 0), 0)) : '–'}</td>
      <td class="wrap">{m.answers.length ? m.answers.map((x, i) => <Answer key={x.framework_id.value} x={x} first={!i} />) : <span class="soft">{m.state === 'draining' ? 'nothing yet' : '–'}</span>}</td>
      <td class="end">{m.state === 'down'
        ? <button aria-label={`Bring up ${m.id.hostname || m.id.ip}`} onClick={() => endMaintenance([m.id]).then(then)}>Bring up</button>
        : <span class="buttons in-cell"><button class="danger in-row" aria-label={`Take down ${m.id.hostname || m.id.ip}`} onClick={() => startMaintenance([m.id]).then(then)}>Take down</button><button class="in-row" aria-label={`Take out ${m.id.hostname || m.id.ip} of the schedule`} onClick={() => removeMachines([m.id]).then(then)}>Take out</button></span>}</td>
    </tr>
  );
}

// The answer of a framework to an inverse offer.
const ANSWERS = { ACCEPT: 'will leave', DECLINE: 'will not leave', UNKNOWN: 'said nothing' };

function Answer({ x, first }) {
  const f = useOne('frameworks', { id: x.framework_id.value });
  return (
    <span>{first ? '' : ', '}<a href={link('frameworks', x.framework_id.value)}>{f?.name || shortId(x.framework_id.value)}</a> {ANSWERS[x.status] ?? ANSWERS.UNKNOWN}
      {x.timestamp && <span class="soft"> (<Ago time={fromNanos(x.timestamp)} />)</span>}</span>
  );
}

const columns = [
  { key: 'hostname', title: 'Host', width: 'minmax(6rem, 1.6fr)', cell: (a) => <a href={href(a)}>{a.hostname}</a> },
  { key: 'state', title: 'State', width: '7.5rem', cell: (a) => <State state={a.state} /> },
  { key: 'zone', title: 'Zone', min: 700, width: 'minmax(6rem, 1fr)', cell: (a) => [a.region, a.zone].filter(Boolean).join(' / ') },
  { key: 'tasks', title: 'Tasks', end: true, min: 480, width: '4.5rem', cell: (a) => count(a.tasks) },
  { key: 'undo', title: 'Undo', end: true, width: '7rem', cell: (a) => (a.state === 'draining' ? <span class="soft">when drained</span> : <button class="in-row" aria-label={`Reactivate ${a.hostname}`} onClick={() => reactivate(a)}>Reactivate</button>) },
];
const href = (a) => link('agents', a.id);

// Agents that an operator takes out one by one, without a window.
function Leaving() {
  const source = useRows('agents', { state: 'draining,drained,deactivated', sort: 'state' });
  return (
    <Section title="Agents taken out by hand">
      {source.total === 0 && !source.loading
        ? <p class="panel soft">No agent is draining, drained or deactivated. The view of an agent has the buttons.</p>
        : <DataTable label="Agents taken out by hand" columns={columns} source={source} href={href} fit />}
    </Section>
  );
}
