// Small pieces that many views use.
import { useEffect } from 'preact/hooks';
import { tone } from '../lib/states.js';
import { CPUS, DISK, GPUS, MEM, TITLES, minus } from '../lib/resources.js';
import { ago, amount, percent, when } from '../lib/format.js';
import { hello, now, slowNow } from '../store.js';

// A state as a dot and a word: the colour is never the only sign.
export function State({ state, children }) {
  return <span class={`state ${tone(state)}`}>{children ?? words(state)}</span>;
}
const words = (s) => String(s).replace(/^TASK_/, '').toLowerCase().replaceAll('_', ' ');

export function Health({ healthy }) {
  return healthy == null ? null : <span class={`state ${healthy ? 'good' : 'bad'}`}>{healthy ? 'healthy' : 'unhealthy'}</span>;
}

// used and offered of a total as one bar. Its text says the same.
export function Bar({ used, offered = 0, total, label, limit }) {
  const w = (v) => (total > 0 ? `${Math.min(100, (v / total) * 100)}%` : '0');
  return (
    <span class="bar" role="img" aria-label={label ?? `${percent(total > 0 ? used / total : 0)} used`}>
      <i class="used" style={{ width: w(used) }} />
      <i class="offered" style={{ width: w(offered) }} />
      {limit != null && limit < total && <b class="limit" style={{ left: w(limit) }} />}
    </span>
  );
}

// A number and a small bar below each other, for cells of tables.
export function UsedCell({ row, resource: i }) {
  if (!row.total?.[i]) return <span class="soft">–</span>;
  return (
    <span class="used-cell">
      <span>{amount(row.used[i], i)}<span class="soft"> / {amount(row.total[i], i)}</span></span>
      <Bar used={row.used[i]} offered={row.offered?.[i]} total={row.total[i]} />
    </span>
  );
}

// Each resource with its bar: used, offered and free of what there is.
export function ResourceBars({ total, used, offered, reserved }) {
  const free = minus(total, used, offered);
  const shown = [CPUS, GPUS, MEM, DISK].filter((i) => total[i] > 0);
  if (!shown.length) return <p class="soft">No resources.</p>;
  return (
    <div class="resources">
      {shown.map((i) => (
        <div key={i} class="resource">
          <div class="resource-head">
            <strong>{TITLES[i]}</strong>
            <span class="num">{percent(used[i] / total[i])} used <span class="soft">of {amount(total[i], i)}</span></span>
          </div>
          <Bar used={used[i]} offered={offered?.[i]} total={total[i]}
            label={`${TITLES[i]}: ${amount(used[i], i)} used, ${amount(offered?.[i] ?? 0, i)} offered, ${amount(free[i], i)} free`} />
          <div class="resource-legend num">
            <span><i class="key used" />{amount(used[i], i)} used</span>
            <span><i class="key offered" />{amount(offered?.[i] ?? 0, i)} offered</span>
            <span><i class="key" />{amount(free[i], i)} free</span>
            {reserved?.[i] > 0 && <span>{amount(reserved[i], i)} reserved</span>}
          </div>
        </div>
      ))}
    </div>
  );
}

// How long ago, kept up to date; the exact time when pointed at.
export function Ago({ time }) {
  const young = time && slowNow.value - time < 100;
  return time ? <time title={when(time)} dateTime={new Date(time * 1000).toISOString()}>{ago(time, young ? now.value : Math.max(slowNow.value, time))}</time> : <span class="soft">–</span>;
}

// Facts as names and values; those without a value are left out.
export function Facts({ items }) {
  const known = items.filter(([, v]) => v != null && v !== '' && v !== false);
  return known.length > 0 && (
    <dl class="facts">
      {known.map(([k, v]) => <div key={k}><dt>{k}</dt><dd>{v}</dd></div>)}
    </dl>
  );
}

export function Section({ title, aside, children, id }) {
  return (
    <section aria-labelledby={id ?? slug(title)}>
      <div class="section-head"><h2 id={id ?? slug(title)}>{title}</h2>{aside}</div>
      {children}
    </section>
  );
}
const slug = (text) => `s-${text.toLowerCase().replace(/[^a-z]+/g, '-')}`;

// The head of a view: its name, what it is, and what can be done there.
export function Head({ title, kind, state, children, sub }) {
  const cluster = hello.value?.cluster || 'Fairlead';
  useEffect(() => {
    document.title = title === cluster ? cluster : `${title} · ${cluster}`;
  }, [title, cluster]);
  return (
    <header class="view-head">
      <div>
        {kind && <p class="kind">{kind}</p>}
        <h1>{title} {state && <State state={state} />}</h1>
        {sub && <p class="soft mono sub">{sub}</p>}
      </div>
      {children && <div class="actions">{children}</div>}
    </header>
  );
}

export function Fault({ error, again }) {
  if (!error) return null;
  return <p class="error" role="alert">{error.message} {again && <button class="plain" onClick={again}>Ask again</button>}</p>;
}

export const Waiting = ({ children = 'Asking …' }) => <p class="soft" role="status">{children}</p>;

export function NotThere({ what, id, children }) {
  return (
    <div class="missing">
      <h1>No such {what}</h1>
      <p>The cluster has no {what} <code>{id}</code> at the moment. {children}</p>
      <p><a href="#/">To the overview</a></p>
    </div>
  );
}
