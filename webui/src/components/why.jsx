// "Why does it wait?": what the allocator says of a framework (GET /explain, docs/explain.md), for its roles and for each agent.
import { useState } from 'preact/hooks';
import { useOne } from '../store.js';
import { link } from '../router.js';
import { get, useAsk } from '../lib/api.js';
import { amount, count, fromText, percent, plural, shortId } from '../lib/format.js';
import { EXPLAIN_TITLES, EXPLAIN_WORDS, readable } from '../lib/words.js';
import { Choices } from './filters.jsx';
import { DataTable } from './table.jsx';
import { Fault, Section, Waiting } from './parts.jsx';
import { useArray } from '../store.js';

const EVERY = 10_000; // ms: it costs the master a look at each agent

export function WhyItWaits({ id }) {
  const { data, error, again } = useAsk(({ signal }) => get('/explain', { framework_id: id }, { signal }), [id], EVERY);
  const [reason, setReason] = useState('');
  const aside = data && <button class="plain" onClick={again}>Ask again</button>;
  if (error && !data) return <Section title="Why does it wait?"><Fault error={error} again={again} /></Section>;
  if (!data) return <Section title="Why does it wait?"><Waiting /></Section>;
  return (
    <Section title="Why does it wait?" aside={aside}>
      <div class="why">
        <div class="panel">
          {data.paused && <p>The master makes no offers yet: it waits for agents to come back after a restart.</p>}
          {!data.active && <p>The framework is not active, so it is offered nothing.</p>}
          {data.roles?.map((r) => <Role key={r.role} r={r} />)}
        </div>
        <Agents data={data} reason={reason} setReason={setReason} />
      </div>
    </Section>
  );
}

const vec = (v) => (Object.entries(v ?? {}).map(([n, x]) => `${n === 'mem' ? 'memory' : n} ${amount(x, n === 'mem' || n === 'disk' ? 2 : 0)}`).join(', '));

function Role({ r }) {
  const q = r.quota;
  return (
    <div class="why-role">
      <h3>As <a href={link('roles', { q: r.role })}>{r.role}</a></h3>
      <ul>
        <li>{r.suppressed ? 'It asked for no offers (suppressed).' : r.subscribed === false ? 'It is not subscribed.' : 'It asks for offers.'} It has {percent(r.dominant_share)} of the cluster{r.dominant_resource ? `'s ${r.dominant_resource}` : ''}, with weight {r.weight}.</li>
        {r.ahead != null && <li>{r.ahead ? <>{plural(r.ahead, 'framework comes', 'frameworks come')} before it in the order of fair sharing, first {r.first_in_order.map((o, i) => <span key={i}>{i > 0 && ', '}<Name id={o.framework_id} /> ({percent(o.dominant_share)})</span>)}.</> : 'Nobody comes before it in the order of fair sharing.'}</li>}
        {r.agents_with_filters > 0 && <li>It declined {plural(r.agents_with_filters, 'agent')} a moment ago; they are offered again when that time is over.</li>}
        {q?.left_by_limit && <li>Quota of {q.role} leaves {vec(q.left_by_limit) || 'everything'} up to its limit.</li>}
        {q?.unmet_guarantees?.length > 0 && <li>Guarantees of others come first: {q.unmet_guarantees.map((g) => `${g.role} (${vec(g.unmet)})`).join(', ')}.</li>}
        {r.gang && <li>Its gang offer is {r.gang.state}: {vec(r.gang.gathered) || 'nothing'} of {vec(r.gang.total)} is gathered.</li>}
      </ul>
    </div>
  );
}

function Name({ id }) {
  const f = useOne('frameworks', { id });
  return <a href={link('frameworks', id)}>{f?.name ?? shortId(id)}</a>;
}

const columns = [
  { key: 'hostname', title: 'Agent', width: 'minmax(8rem, 1fr)', cell: (a) => <a href={link('agents', a.agent_id)}>{a.hostname}</a> },
  { key: 'why', title: 'Why', width: 'minmax(12rem, 2.4fr)', cell: (a) => <span title={a.advice}>{a.why}{a.free_but_reserved_to?.length > 0 && ` (reserved to ${a.free_but_reserved_to.join(', ')})`}</span> },
  { key: 'free', title: 'Free', min: 700, width: 'minmax(8rem, 1fr)', cell: (a) => <span class="soft" title={a.free}>{fromText(a.free, a.role) || '–'}</span> },
  { key: 'holds', title: 'It holds', min: 1000, width: 'minmax(8rem, 1fr)', cell: (a) => <span class="soft" title={a.holds}>{fromText(a.holds, a.role) || '–'}</span> },
  { key: 'role', title: 'Role', min: 1100, width: 'minmax(5rem, .5fr)', cell: (a) => a.role },
];

// How many agents for each reason; the agents of one when it is chosen.
function Agents({ data, reason, setReason }) {
  const reasons = Object.entries(data.summary ?? {}).filter(([k]) => EXPLAIN_WORDS[k]).sort((a, b) => b[1] - a[1]);
  const shown = (data.agents ?? []).filter((a) => !reason || a.reason === reason);
  const source = useArray(shown);
  const advice = shown.find((a) => a.reason === reason)?.advice;
  if (!reasons.length) return <p class="panel soft">No agent is there.</p>;
  return (
    <>
      <Choices label="Reason" value={reason} onChange={setReason}
        options={[{ value: '', title: 'All' }, ...reasons.map(([k, n]) => ({ value: k, title: EXPLAIN_TITLES[k] ?? readable(k), count: n }))]} />
      {reason && <p>{EXPLAIN_WORDS[reason]}. <span class="soft">{advice}</span></p>}
      <DataTable label="Agents and why they are not offered" columns={columns} source={source} fit empty="None of them is shown." />
      {data.summary?.not_shown > 0 && <p class="soft">{count(data.summary.not_shown)} more are counted and not listed.</p>}
    </>
  );
}
