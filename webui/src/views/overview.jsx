// The cluster in a minute: what is wrong, what is taken, what runs.
import { hello, summary, useRows } from '../store.js';
import { link } from '../router.js';
import { LIVE, STATES, tone } from '../lib/states.js';
import { CPUS, fullness } from '../lib/resources.js';
import { amount, count, megabytes, percent, when } from '../lib/format.js';
import { Ago, Bar, Facts, Head, ResourceBars, Section, State, Waiting } from '../components/parts.jsx';
import { problemsOf } from './overview_problems.jsx';

export default function Overview() {
  const s = summary.value;
  if (!s) return <><Head title="Overview" /><Waiting>Waiting for the first picture of the cluster …</Waiting></>;
  return (
    <>
      <Head title={hello.value?.cluster || 'Overview'} kind={hello.value?.cluster ? 'Cluster' : undefined}><a class="button" href="#/log">Log of the master</a></Head>
      <Problems s={s} />
      <div class="tiles">
        <Tile n={s.counts.agents} title="agent" href="#/agents" more={exceptions(s.agents, 'active')} />
        <Tile n={s.counts.frameworks} title="framework" href="#/frameworks" more={exceptions(s.frameworks, 'active', ['completed'])} />
        <Tile n={s.tasks.RUNNING} title="task" after=" running" href={link('tasks', { state: 'RUNNING' })} more={starting(s.tasks)} />
        <Tile n={s.offers} title="offer" after=" out" href="#/offers" />
      </div>
      <div class="columns">
        <Section title="Resources"><div class="panel"><ResourceBars {...s.sums} /></div></Section>
        <Section title="Tasks by state"><div class="panel"><TasksByState tasks={s.tasks} /></div></Section>
        <Section title="By role" aside={<a href="#/roles">All roles</a>}><div class="panel"><ByRole /></div></Section>
        {s.zones.length > 1 && <Section title="By zone" aside={<a href="#/agents">All agents</a>}><div class="panel"><ByZone zones={s.zones} /></div></Section>}
        <Section title="Master"><div class="panel"><Master /></div></Section>
      </div>
    </>
  );
}

function Problems({ s }) {
  const list = problemsOf(s);
  return (
    <Section title="Needs attention" id="problems">
      {list.length
        ? <ul class="problems panel">{list.map((p) => <li key={p.key} class={p.tone}><State state={p.state}>{p.title}</State><span>{p.text}</span></li>)}</ul>
        : <p class="panel"><State state="active">Nothing</State> <span class="soft">No agent is missing, no task failed in the last 15 minutes.</span></p>}
    </Section>
  );
}

function Tile({ n, title, after, href, more }) {
  return <a class="tile panel" href={href}><strong>{count(n)}</strong> {n === 1 ? title : `${title}s`}{after}{more && <span class="soft">{more}</span>}</a>;
}

// The states that are not the usual one: "3 draining, 1 unreachable".
function exceptions(states, usual, never = []) {
  return Object.entries(states).filter(([k, v]) => v && k !== usual && !never.includes(k)).map(([k, v]) => `${count(v)} ${k}`).join(', ');
}

const starting = (t) => (t.STAGING + t.STARTING ? `${count(t.STAGING + t.STARTING)} starting` : '');

function TasksByState({ tasks }) {
  const shown = STATES.filter((st) => tasks[st] || st === 'RUNNING');
  const group = (live) => {
    const rows = shown.filter((st) => LIVE.has(st) === live);
    const sum = rows.reduce((n, st) => n + tasks[st], 0);
    return rows.length > 0 && (
      <table class="states">
        <caption>{live ? 'Alive' : 'Ended, kept by the master'} <span class="num">{count(sum)}</span></caption>
        <tbody>{rows.map((st) => (
          <tr key={st}>
            <th scope="row"><a href={link('tasks', { state: st })}><State state={st} /></a></th>
            <td class="fill"><span class={`bar tone-${tone(st)}`}><i style={{ width: `${sum ? (tasks[st] / sum) * 100 : 0}%` }} /></span></td>
            <td class="end num">{count(tasks[st])}</td>
          </tr>
        ))}</tbody>
      </table>
    );
  };
  return <>{group(true)}{group(false)}</>;
}

const ROLES = 8;

function ByRole() {
  const roles = useRows('roles', { sort: 'share', descending: true }, ROLES);
  if (!roles.total) return <p class="soft">{roles.loading ? 'Asking …' : 'No framework has a role yet.'}</p>;
  const rows = Array.from({ length: Math.min(ROLES, roles.total) }, (_, i) => roles.get(i)).filter(Boolean);
  return (
    <table>
      <thead><tr><th scope="col">Role</th><th scope="col" class="fill">Dominant share</th><th scope="col" class="end">Share</th><th scope="col" class="end roomy">CPUs</th><th scope="col" class="end roomy">Memory</th></tr></thead>
      <tbody>{rows.map((r) => (
        <tr key={r.name}>
          <td class="name"><a href={link('tasks', { role: r.name })}>{r.name}</a></td>
          <td class="fill"><Bar used={r.share} total={1} label={`dominant share ${percent(r.share)}`} /></td>
          <td class="end num">{percent(r.share)}</td>
          <td class="end num roomy">{amount(r.used[CPUS], CPUS)}</td>
          <td class="end num roomy">{megabytes(r.used[2])}</td>
        </tr>
      ))}</tbody>
    </table>
  );
}

function ByZone({ zones }) {
  return (
    <div class="scroll"><table>
      <thead><tr><th scope="col">Zone</th><th scope="col" class="end">Agents</th><th scope="col" class="end roomy">Tasks</th><th scope="col" class="fill">Fullest resource</th><th scope="col" class="end">Used</th></tr></thead>
      <tbody>{zones.map((z) => {
        const full = fullness(z.used, z.total);
        return (
          <tr key={`${z.region}/${z.zone}`}>
            <td class="name"><a href={link('agents', { zone: z.zone, region: z.region })}>{[z.region, z.zone].filter(Boolean).join(' / ') || 'no zone'}</a></td>
            <td class="end num">{count(z.agents)}</td>
            <td class="end num roomy">{count(z.tasks)}</td>
            <td class="fill"><Bar used={full} offered={Math.min(1 - full, fullness(z.offered, z.total))} total={1} /></td>
            <td class="end num">{percent(full)}</td>
          </tr>
        );
      })}</tbody>
    </table></div>
  );
}

function Master() {
  const h = hello.value;
  if (!h) return null;
  return (
    <Facts items={[
      ['Leader', h.leader], ['Version', h.master_version], ['Elected', h.elected && <Ago time={h.elected} />],
      ['Started', h.started && when(h.started)], ['Seen as', h.principal || 'nobody (no sign-in asked)'], ['Id', <span class="mono">{h.id}</span>],
    ]} />
  );
}

