// One task: how it is now, what happened to it and why, in words.
import { useMemo } from 'preact/hooks';
import { useOne } from '../store.js';
import { link } from '../router.js';
import { get, useAsk } from '../lib/api.js';
import { amounts, clockTime, duration, fromList, fromNanos, when } from '../lib/format.js';
import { pastWords, reasonWords, readable, SOURCE_WORDS, stateWords } from '../lib/words.js';
import { dottedContainer, sandboxOf } from '../lib/sandbox.js';
import { Usage } from '../components/usage.jsx';
import { tone } from '../lib/states.js';
import { Ago, Facts, Fault, Head, Health, NotThere, Section, State, Waiting } from '../components/parts.jsx';

export default function Task({ framework, id }) {
  const live = useOne('tasks', { framework, id });
  // The stream has the state; why it is so is asked for, again whenever it changed.
  const { data, error, again } = useAsk(({ signal }) => get('/page/task', { framework_id: framework, task_id: id }, { signal }), [framework, id, live?.state, live?.healthy, live?.at]);
  if (live === null && error?.status === 404) {
    return <NotThere what="task" id={id}>Tasks that ended long ago are forgotten by the master.</NotThere>;
  }
  const t = data?.task;
  const root = t && dottedContainer(t)?.split('.')[0]; // statistics are of the executor's container
  const name = live?.name ?? t?.name ?? id;
  const state = live?.state ?? t?.state?.replace(/^TASK_/, '');
  return (
    <>
      <Head kind="Task" title={name} state={state} sub={id}><Tools data={data} framework={framework} id={id} running={LIVE.test(state)} /></Head>
      <Fault error={error} again={again} />
      {state && <Meaning state={state} task={t} />}
      <Section title="Now"><div class="panel"><Now live={live} data={data} framework={framework} /></div></Section>
      {LIVE.test(state) && root && data?.agent.hostname && <Usage agent={data.agent.id} container={root} />}
      <Section title="What happened">{t ? <Timeline statuses={t.statuses ?? []} state={state} /> : !error && <Waiting />}</Section>
      {t && <Description t={t} />}
    </>
  );
}

const LIVE = /^(RUNNING|KILLING)$/;

// What is with the agent: it must be there.
function Tools({ data, framework, id, running }) {
  const agent = data?.agent;
  if (!agent?.hostname) return null;
  const box = sandboxOf(data.task);
  return (
    <>
      {running && <a class="button" href={link('tasks', framework, id, 'shell')}>Shell</a>}
      <a class="button" href={link('agents', agent.id, 'log', { path: `${box}/stdout` })}>stdout</a>
      <a class="button" href={link('agents', agent.id, 'log', { path: `${box}/stderr` })}>stderr</a>
      <a class="button" href={link('agents', agent.id, 'browse', { path: box })}>Sandbox</a>
    </>
  );
}

// The state in a sentence, and what to do.
function Meaning({ state, task }) {
  const [what, todo] = stateWords(state);
  const last = task?.statuses?.at(-1);
  const why = last && last.state === `TASK_${state}` && last.reason ? reasonWords(last.reason) : null;
  return (
    <div class={`meaning ${tone(state)}`}>
      <p>{why ? why[0] : what}</p>
      {last?.message && last.state === `TASK_${state}` && <p class="mono">{last.message}</p>}
      {(why ? why[1] : todo) && <p class="soft">{why ? why[1] : todo}</p>}
    </div>
  );
}

function Now({ live, data, framework }) {
  const t = data?.task;
  const frameworkName = live?.frameworkName ?? data?.framework?.name;
  const agentId = live?.agentId ?? data?.agent?.id;
  const host = live?.hostname ?? data?.agent?.hostname;
  const network = t?.statuses?.at(-1)?.container_status?.network_infos?.flatMap((n) => n.ip_addresses?.map((a) => a.ip_address) ?? []);
  return (
    <Facts items={[
      ['Framework', <a href={link('frameworks', framework)}>{frameworkName ?? framework}</a>],
      ['Agent', agentId && <a href={link('agents', agentId)}>{host ?? agentId}</a>],
      ['Role', live?.role], ['Resources', live ? amounts(live.resources) : t && amounts(fromList(t.resources))],
      ['Health', live?.healthy != null && <Health healthy={live.healthy} />],
      ['Address', network?.join(', ')], ['Executor', live?.executor || t?.executor_id?.value], ['User', t?.user],
      ['Started', live?.started && <Ago time={live.started} />], ['Last change', live?.at && <Ago time={live.at} />],
    ]} />
  );
}

// Every status, the newest first; how long each state lasted.
function Timeline({ statuses, state }) {
  const list = useMemo(() => [...statuses].reverse(), [statuses]);
  if (!list.length) return <p class="panel soft">{stateWords(state)[0] || 'No status was reported yet.'}</p>;
  return (
    <ol class="timeline panel">
      {list.map((s, i) => {
        const next = i ? list[i - 1].timestamp : null;
        const why = s.reason && reasonWords(s.reason);
        return (
          <li key={`${s.timestamp} ${s.state} ${i}`} class={tone(s.state)}>
            <div class="timeline-head">
              <State state={s.state.replace(/^TASK_/, '')} />
              {s.reason && <code>{readable(s.reason)}</code>}
              {s.healthy != null && <Health healthy={s.healthy} />}
              <span class="timeline-time soft num"><time dateTime={s.timestamp && new Date(s.timestamp * 1000).toISOString()} title={when(s.timestamp)}>{clockTime(s.timestamp)}</time>{next && s.timestamp ? `, for ${lasted(next - s.timestamp)}` : ''}</span>
            </div>
            <p>{why ? why[0] : i ? pastWords(s.state) : stateWords(s.state)[0]} {s.source && <span class="soft">Said by {SOURCE_WORDS[s.source] ?? s.source}.</span>}</p>
            {s.message && <p class="mono message">{s.message}</p>}
            {s.limitation?.resources && <p class="soft">Limit that was passed: {amounts(fromList(s.limitation.resources))}</p>}
            {s.unreachable_time && <p class="soft">Not reachable since {when(fromNanos(s.unreachable_time))}.</p>}
            {s.check_status && <p class="soft">Check: {JSON.stringify(s.check_status)}</p>}
            {i === 0 && why?.[1] && <p class="soft">{why[1]}</p>}
          </li>
        );
      })}
    </ol>
  );
}

const lasted = (seconds) => (seconds < 1 ? `${Math.max(0, Math.round(seconds * 1000))} ms` : duration(seconds));

// What the framework asked for.
function Description({ t }) {
  const labels = t.labels?.labels ?? [];
  const container = t.container;
  const image = container?.docker?.image ?? container?.mesos?.image?.docker?.name ?? container?.mesos?.image?.appc?.name;
  const ports = t.discovery?.ports?.ports?.map((p) => `${p.name ? `${p.name} ` : ''}${p.number}${p.protocol ? `/${p.protocol}` : ''}`).join(', ');
  const limits = t.limits && Object.entries(t.limits).map(([k, v]) => `${k} ${v?.value ?? v}`).join(', ');
  const check = t.health_check;
  const items = [
    ['Image', image && <span class="mono">{image}</span>], ['Container', container?.type?.toLowerCase()], ['Limits', limits], ['Ports', ports],
    ['Discovery name', t.discovery?.name], ['Health check', check && `${(check.type ?? 'command').toLowerCase()}${check.http?.path ? ` ${check.http.path}` : ''}, each ${check.interval_seconds ?? 10} s`],
    ['Kill grace period', t.kill_policy?.grace_period && duration(fromNanos(t.kill_policy.grace_period))],
    ['Volumes', container?.volumes?.length > 0 && container.volumes.map((v) => v.container_path).join(', ')],
  ];
  if (!labels.length && !items.some(([, v]) => v)) return null;
  return (
    <Section title="Description">
      <div class="panel">
        <Facts items={items} />
        {labels.length > 0 && <ul class="labels" aria-label="Labels">{labels.map((l) => <li key={l.key}><span class="soft">{l.key}</span> {l.value}</li>)}</ul>}
      </div>
    </Section>
  );
}
