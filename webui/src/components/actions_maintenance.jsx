// What an operator does with the maintenance schedule. The master keeps it as one piece: each change reads it anew and puts it back.
import { useState } from 'preact/hooks';
import { call } from '../lib/api.js';
import { plural } from '../lib/format.js';
import { machineName, machineOf, secondsOf, withWindow, without } from '../lib/orders.js';
import { useRows } from '../store.js';
import { confirm } from './dialog.jsx';

const schedule = async () => (await call('GET_MAINTENANCE_SCHEDULE'))?.schedule?.windows ?? [];
const put = (windows) => call('UPDATE_MAINTENANCE_SCHEDULE', { schedule: { windows } });

// Local time as <input type=datetime-local> has it.
function local(date) {
  const two = (n) => String(n).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

const FOUND = 8;

// Agents that are chosen, and a search for more. `chosen` is a Map of the dialog, so that what is typed elsewhere does not matter.
function Pick({ chosen }) {
  const [q, setQ] = useState('');
  const [, setSize] = useState(chosen.size);
  const source = useRows('agents', { q }, FOUND + chosen.size);
  const found = [];
  for (let i = 0; i < source.total && found.length < FOUND; i++) {
    const a = source.get(i);
    if (a && !chosen.has(a.id)) found.push(a);
  }
  const toggle = (a) => {
    if (!chosen.delete(a.id)) chosen.set(a.id, a);
    setSize(chosen.size);
  };
  const keys = (e) => {
    if (e.key !== 'Enter') return; // not yet the form
    e.preventDefault();
    if (q && found[0]) toggle(found[0]);
  };
  return (
    <div class="pick">
      <label for="pick-agents">Agents</label>
      {chosen.size > 0 && <ul class="labels">{[...chosen.values()].map((a) => <li key={a.id}>{a.hostname}<button type="button" aria-label={`Leave out ${a.hostname}`} onClick={() => toggle(a)}>×</button></li>)}</ul>}
      <input id="pick-agents" type="search" placeholder="Host name, zone, attribute" value={q} onInput={(e) => setQ(e.target.value)} onKeyDown={keys} autocomplete="off" spellcheck={false} />
      <ul class="found-agents" aria-label="Agents to add">
        {found.map((a) => <li key={a.id}><button type="button" class="plain" onClick={() => toggle(a)}>+ {a.hostname} <span class="soft">{[a.zone, a.rack].filter(Boolean).join(' / ')}</span></button></li>)}
      </ul>
      {source.total > found.length + chosen.size && <p class="soft">And {plural(source.total - found.length, 'other')}: say more of the name.</p>}
    </div>
  );
}

// agents: those that are chosen already.
export function addWindow(agents = []) {
  const chosen = new Map(agents.map((a) => [a.id, a]));
  return confirm({
    title: 'Schedule maintenance', pairs: true, action: 'Schedule',
    body: <><p>Frameworks are told when the machines will be away, and are asked to leave them (inverse offers). Tasks go on until the maintenance is started. A machine that is in another window moves to this one.</p><Pick chosen={chosen} /></>,
    fields: [
      { name: 'start', label: 'Begins', type: 'datetime-local', value: local(new Date(Date.now() + 3600_000)), required: true, help: 'In your own time zone.' },
      { name: 'duration', label: 'Lasts', value: '2 h', placeholder: '90 min, 2 h, 1 d', help: 'Empty: open end.' },
    ],
    async run({ start, duration }) {
      if (!chosen.size) throw new Error('Choose at least one agent.');
      const seconds = secondsOf(duration);
      await put(withWindow(await schedule(), [...chosen.values()].map(machineOf), new Date(start).getTime() / 1000, seconds));
    },
    done: () => `Maintenance of ${plural(chosen.size, 'agent')} is scheduled.`,
  });
}

const names = (ids) => (ids.length > 3 ? plural(ids.length, 'machine') : ids.map(machineName).join(', '));

export function removeMachines(ids) {
  return confirm({
    title: `Take ${names(ids)} out of the schedule?`, body: 'Frameworks are told that the machines stay. They may be scheduled again at any time.',
    action: 'Take out', run: async () => put(without(await schedule(), ids)), done: `${names(ids)}: no maintenance is scheduled.`,
  });
}

export function startMaintenance(ids) {
  return confirm({
    title: `Start the maintenance of ${names(ids)}?`,
    body: <><p>The agents there are shut down now, and all their tasks with them. They may not register before the maintenance is ended.</p><p><strong>Tasks that are ended do not come back by themselves.</strong></p></>,
    action: 'Take down', danger: true, run: () => call('START_MAINTENANCE', { machines: ids }), done: `${names(ids)}: down.`,
  });
}

export function endMaintenance(ids) {
  return confirm({
    title: `End the maintenance of ${names(ids)}?`, body: 'The machines leave the schedule, and their agents may register again. Start the agents there if they do not start by themselves.',
    action: 'Bring up', run: () => call('STOP_MAINTENANCE', { machines: ids }), done: `${names(ids)}: up.`,
  });
}
