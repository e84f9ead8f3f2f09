// CPU and memory over time, of one task or of everything on an agent, since the page began to look. uPlot is loaded when it is needed.
import 'uplot/dist/uPlot.min.css';
import { useEffect, useMemo, useReducer, useRef, useState } from 'preact/hooks';
import { agentGet } from '../lib/api.js';
import { megabytes } from '../lib/format.js';
import { sampleOf, Series } from '../lib/usage.js';
import { Fault, Section } from './parts.jsx';

const EVERY = 2000;
const hours = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
const seconds = (time) => hours.format(time * 1000);
// Most tasks use little: two digits that say something.
const cores = (v) => (v === 0 ? '0' : String(Number(v.toPrecision(2))));

// container: of the task's executor; without one, all of the agent's.
export function Usage({ agent, container }) {
  const [, redraw] = useReducer((n) => n + 1, 0);
  const [error, setError] = useState(null);
  const series = useMemo(() => new Series(), [agent, container]);
  useEffect(() => {
    const abort = new AbortController();
    let timer;
    const turn = async () => {
      try {
        if (!document.hidden) {
          const all = await agentGet(agent, '/containers', container && { container_id: container }, { signal: abort.signal });
          if (series.add(all.map((c) => [c.container_id, sampleOf(c.statistics)]))) redraw();
          setError(null);
        }
      } catch (e) {
        if (e.name !== 'AbortError') setError(e);
      }
      if (!abort.signal.aborted) timer = setTimeout(turn, EVERY);
    };
    turn();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [agent, container]);
  const last = series.points.at(-1);
  return (
    <Section title="Use" aside={<span class="soft">measured while you look</span>}>
      <div class="panel">
        <Fault error={error} />
        {!last && !error && <p class="soft" role="status">Measuring …</p>}
        {last && (
          <div class="charts">
            <Chart title="CPU" points={series.points} field="cpu" limit="cpuLimit" now={`${cores(last.cpu)} of ${last.cpuLimit == null ? 'no limit' : cores(last.cpuLimit)}`} format={cores} />
            <Chart title="Memory" points={series.points} field="mem" limit="memLimit" now={`${megabytes(last.mem)} of ${last.memLimit == null ? 'no limit' : megabytes(last.memLimit)}`} format={megabytes} />
          </div>
        )}
      </div>
    </Section>
  );
}

function Chart({ title, points, field, limit, now, format }) {
  const box = useRef();
  const plot = useRef();
  const data = [points.map((p) => p.at), points.map((p) => p[field]), points.map((p) => p[limit])];
  const latest = useRef();
  latest.current = data;
  useEffect(() => {
    const place = box.current;
    let gone = false;
    let observer;
    import('uplot').then(({ default: UPlot }) => {
      if (gone) return;
      const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
      const axis = { stroke: () => colour('--soft'), grid: { stroke: () => colour('--line'), width: 1 }, ticks: { show: false }, font: '11px system-ui' };
      plot.current = new UPlot({
        width: place.clientWidth, height: 110, legend: { show: false }, cursor: { show: false }, padding: [6, 0, 0, 0],
        scales: { x: { range: (u, min, max) => [Math.min(min, max - 60), max] }, y: { range: (u, min, max) => [0, max > 0 ? max * 1.1 : 1] } },
        axes: [{ ...axis, space: 80, size: 28, values: (u, vs) => vs.map(seconds) }, { ...axis, size: 64, values: (u, vs) => vs.map(format) }],
        series: [{}, { stroke: () => colour('--used'), width: 1.5, fill: () => `${colour('--used')}22`, points: { show: false } }, { stroke: () => colour('--warn'), width: 1, dash: [4, 4], points: { show: false } }],
      }, latest.current, place);
      observer = new ResizeObserver(() => plot.current.setSize({ width: place.clientWidth, height: 110 }));
      observer.observe(place);
    });
    return () => {
      gone = true;
      observer?.disconnect();
      plot.current?.destroy();
    };
  }, []);
  useEffect(() => plot.current?.setData(data), [points]);
  return (
    <figure class="chart">
      <figcaption><strong>{title}</strong><span class="num soft">{now}</span></figcaption>
      <div class="plot" ref={box} role="img" aria-label={`${title} in the last minutes; now ${now}`} />
    </figure>
  );
}
