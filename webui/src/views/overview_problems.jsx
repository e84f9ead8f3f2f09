// Problems of the summary in words, the worst first. Each says what it means and leads to where something can be done.
import { link } from '../router.js';
import { count, plural } from '../lib/format.js';

// Names with links, and how many more there are.
function names(group, section) {
  const links = group.some.flatMap((x, i) => [i ? ', ' : '', <a key={x.id} href={section === 'roles' ? link('roles', { q: x.id }) : link(section, x.id)}>{x.name}</a>]);
  return [...links, group.count > group.some.length ? ` and ${count(group.count - group.some.length)} more` : ''];
}

const BAD = 'FAILED,ERROR,LOST,DROPPED,GONE';

export function problemsOf({ problems: p, ready }) {
  const list = [];
  const add = (key, state, title, text) => list.push({ key, state, title, text });
  const are = (n) => (n === 1 ? 'is' : 'are');
  if (!ready) return list;
  const last = p.failing.some.map((f) => f.last).filter(Boolean).sort((a, b) => b.at - a.at)[0];
  if (p.unreachable.count) {
    add('unreachable', 'unreachable', `${plural(p.unreachable.count, 'agent')} unreachable`,
      <>{names(p.unreachable, 'agents')}: no answer to pings. {p.unreachableTasks ? <a href={link('tasks', { state: 'UNREACHABLE' })}>{plural(p.unreachableTasks, 'task')}</a> : 'No tasks'} there may still run. Look at the machines; they come back by themselves.</>);
  }
  if (p.failed) {
    add('failing', 'FAILED', `${plural(p.failed, 'task')} failed`, <>
      In the last 15 minutes: {p.failing.some.flatMap((f, i) => [i ? ', ' : '', <a key={f.id} href={link('tasks', { framework: f.id, state: BAD })}>{f.name}</a>, f.count > 1 ? ` ${count(f.count)}` : ''])}
      {p.failing.count > p.failing.some.length && ` and ${plural(p.failing.count - p.failing.some.length, 'other framework')}`}.{' '}
      {last && <>The last one: <a href={link('tasks', last.frameworkId ?? '', last.id)}>{last.name}</a>{last.hostname && ` on ${last.hostname}`}.</>}
    </>);
  }
  if (p.unhealthy) {
    add('unhealthy', 'FAILED', `${plural(p.unhealthy, 'task')} unhealthy`,
      <>Health checks fail while the task runs. <a href={link('tasks', { health: 'bad', state: 'live' })}>Show them</a></>);
  }
  if (p.inactive.count) add('inactive', 'inactive', `${plural(p.inactive.count, 'agent')} not connected`, <>{names(p.inactive, 'agents')}: the connection broke. The master waits for them to come back, and offers nothing there.</>);
  if (p.recovered.count) add('recovered', 'recovered', `${plural(p.recovered.count, 'agent')} awaited`, <>{names(p.recovered, 'agents')} {are(p.recovered.count)} known from before this master led, and did not come back yet.</>);
  if (p.disconnected.count) add('disconnected', 'disconnected', `${plural(p.disconnected.count, 'framework')} away`, <>{names(p.disconnected, 'frameworks')}: the scheduler is not connected. Tasks go on until its failover timeout ends.</>);
  if (p.atLimit.count) add('limit', 'inactive', `${plural(p.atLimit.count, 'role')} at the limit`, <>{names(p.atLimit, 'roles')} {are(p.atLimit.count)} offered nothing more until quota is raised or tasks end.</>);
  if (p.leaving.count) add('leaving', 'draining', `${plural(p.leaving.count, 'agent')} taken out`, <>{names(p.leaving, 'agents')} {are(p.leaving.count)} draining, drained or deactivated by an operator.</>);
  return list;
}
