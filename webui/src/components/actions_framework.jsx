// What an operator can do with a framework.
import { call } from '../lib/api.js';
import { plural } from '../lib/format.js';
import { confirm } from './dialog.jsx';
import { typed } from './actions_agent.jsx';

function teardown(f) {
  const title = f.name || f.id;
  const name = typed(f.name ? 'name' : 'id', title);
  return confirm({
    title: `Tear down ${title}?`,
    body: <><p>The framework is removed, and everything that it runs is ended: {plural(f.tasks ?? 0, 'task')} now. It may not come back with its id.</p><p><strong>This cannot be undone.</strong></p></>,
    fields: [name.field], action: 'Tear down', danger: true,
    async run(values) {
      name.check(values);
      await call('TEARDOWN', { framework_id: { value: f.id } });
    },
    done: `${title} is torn down.`,
  });
}

export function FrameworkActions({ f }) {
  return f.state === 'completed' ? null : <button class="danger" onClick={() => teardown(f)}>Tear down</button>;
}
