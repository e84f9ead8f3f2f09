// Where a task's files lie on its agent, and which container it runs in. `t` is the task as /page/task has it (mesos.v1.Task).
const containerOf = (t) => [...(t?.statuses ?? [])].reverse().map((s) => s.container_status?.container_id).find(Boolean);

// The path that the agent knows the sandbox by; it stays the same when the task is started again. A task of a group has a folder of its own
// in the one of its executor.
export function sandboxOf(t) {
  const id = t.task_id.value;
  const executor = t.executor_id?.value || id;
  const box = `/frameworks/${t.framework_id.value}/executors/${executor}/runs/latest`;
  const container = containerOf(t);
  return container?.parent ? `${box}/containers/${container.value}` : box;
}

// "root.nested": how the relay names containers. Null before the task was started.
export function dottedContainer(t) {
  const parts = [];
  for (let c = containerOf(t); c; c = c.parent) parts.unshift(c.value);
  return parts.length ? parts.join('.') : null;
}

// A name for a new container below it, as long as the agent allows and nobody else's.
export function newContainer(parent, random = crypto.getRandomValues(new Uint8Array(8))) {
  return `${parent}.page-${[...random].map((b) => b.toString(16).padStart(2, '0')).join('')}`;
}

// A path as links for each folder in it.
export function crumbs(path, root = '') {
  const rest = root && path.startsWith(root) ? path.slice(root.length) : path;
  const names = rest.split('/').filter(Boolean);
  const base = rest === path ? '' : root;
  return names.map((name, i) => ({ name, path: `${base}/${names.slice(0, i + 1).join('/')}` }));
}
