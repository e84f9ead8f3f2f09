// What an operator can do with an agent; everything asks first. The event stream then shows the new state by itself.
import { call } from '../lib/api.js';
import { duration, plural } from '../lib/format.js';
import { secondsOf } from '../lib/orders.js';
import { confirm } from './dialog.jsx';
import { addWindow } from './actions_maintenance.jsx';
import { ReserveActions } from './actions_resources.jsx';

const agentId = (a) => ({ agent_id: { value: a.id } });
const running = (a) => (a.tasks ? `${plural(a.tasks, 'task runs', 'tasks run')} there now.` : 'No task runs there.');

// A name that has to be typed, so that nothing irreversible is done by a slip: `run` gets a check of it.
export const typed = (what, name) => ({
  field: { name: 'typed', label: `Type the ${what} to confirm: ${name}`, required: true },
  check(values) {
    if (values.typed.trim() !== name) throw new Error(`That is not the ${what}, so nothing was done. It is ${name}.`);
  },
});

export function drain(a) {
  return confirm({
    title: `Drain ${a.hostname}?`,
    body: <><p>All tasks of the agent are ended, and it is offered to nobody. {running(a)}</p><p class="soft">While it drains it cannot be called back; when it is drained, reactivate it to use it again.</p></>,
    fields: [
      { name: 'grace', label: 'Longest time for tasks to end', placeholder: '10 min', help: 'Like 90 s, 10 min, 2 h. Empty: the time that each task asks for itself.' },
      { name: 'gone', type: 'checkbox', label: 'Mark the agent gone when it is empty', help: 'It can never come back then: not to be undone.' },
    ],
    action: 'Drain', danger: true,
    run({ grace, gone }) {
      const s = secondsOf(grace);
      const limit = s == null ? {} : { max_grace_period: { seconds: Math.floor(s), nanos: Math.round((s % 1) * 1e9) } };
      return call('DRAIN_AGENT', { ...agentId(a), ...limit, mark_gone: gone });
    },
    done: ({ grace }) => `${a.hostname} drains${grace.trim() ? `; its tasks have at most ${duration(secondsOf(grace))}` : ''}.`,
  });
}

export function deactivate(a) {
  return confirm({
    title: `Deactivate ${a.hostname}?`,
    body: `Nothing of the agent is offered any more. Its tasks go on. ${running(a)} Reactivate it to undo this.`,
    action: 'Deactivate', run: () => call('DEACTIVATE_AGENT', agentId(a)), done: `${a.hostname} is deactivated.`,
  });
}

export function reactivate(a) {
  return confirm({
    title: `Reactivate ${a.hostname}?`, body: 'What is free on the agent is offered to frameworks again.',
    action: 'Reactivate', run: () => call('REACTIVATE_AGENT', agentId(a)), done: `${a.hostname} is used again.`,
  });
}

export function markGone(a) {
  const name = typed('host name', a.hostname);
  return confirm({
    title: `Mark ${a.hostname} gone for ever?`,
    body: <><p>The master gives up the agent and its tasks: frameworks are told that they are gone and will not come back. {running(a)} The agent is shut down if it still runs, and may never register again with its id.</p><p><strong>This cannot be undone.</strong></p></>,
    fields: [name.field], action: 'Mark gone', danger: true,
    async run(values) {
      name.check(values);
      await call('MARK_AGENT_GONE', agentId(a));
    },
    done: `${a.hostname} is marked gone.`,
  });
}

const OUT = ['draining', 'drained', 'deactivated'];

// more: the agent as /slaves has it; again: asks for it anew.
export function AgentActions({ a, more, again }) {
  return (
    <>
      {!['draining', 'drained'].includes(a.state) && <button onClick={() => drain(a)}>Drain</button>}
      {!OUT.includes(a.state) && <button onClick={() => deactivate(a)}>Deactivate</button>}
      {['drained', 'deactivated'].includes(a.state) && <button class="primary" onClick={() => reactivate(a)}>Reactivate</button>}
      {a.state === 'draining' && <button disabled title="An agent that drains cannot be called back; it can be when it is drained">Reactivate</button>}
      <button onClick={() => addWindow([a])}>Schedule maintenance</button>
      <ReserveActions a={a} more={more} again={again} />
      <button class="danger" onClick={() => markGone(a)}>Mark gone</button>
    </>
  );
}
