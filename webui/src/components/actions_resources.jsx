// Reservations and persistent volumes of an agent: made and given back. Who asks is named as principal, as the CLI does: the master refuses
// another one when callers are authenticated.
import { call } from '../lib/api.js';
import { RESOURCES } from '../lib/resources.js';
import { asReserved, isDynamic, isVolume, reservation, resourcesOf, titleOf, volumeOn } from '../lib/orders.js';
import { amount, megabytes } from '../lib/format.js';
import { hello } from '../store.js';
import { confirm } from './dialog.jsx';

const SOON = 700; // ms: the master accepts at once, the agent does it a moment later

const by = () => hello.value?.principal ?? null;
const principalField = () => (by() ? [] : [{ name: 'principal', label: 'Principal', whole: true, help: 'Who reserves; may be empty. Nobody is signed in here.' }]);
const principalOf = (values) => by() ?? (values.principal?.trim() || null);
const Who = () => (by() ? <p class="soft">In the name of {by()}, who is signed in.</p> : null);

// Resources of /slaves, one list with their roles.
export const reservedOf = (more) => Object.entries(more?.reserved_resources_full ?? {}).flatMap(([role, list]) => list.map((r) => ({ role, r })));

async function order(type, a, key, list, again) {
  try {
    await call(type, { agent_id: { value: a.id }, [key]: list });
  } catch (e) {
    // The master's own words list all that the agent has.
    if (e.status === 409) throw new Error('The agent does not have that much free at the moment: somebody uses it, or it is reserved.');
    throw e;
  }
  again();
  setTimeout(again, SOON);
}

function reserve(a, again) {
  const free = a.total.map((v, i) => Math.max(0, Math.min(v - a.used[i], v - (a.reserved?.[i] ?? 0))));
  const shown = RESOURCES.filter((_, i) => a.total[i] > 0);
  return confirm({
    title: `Reserve on ${a.hostname}`, pairs: true,
    body: <><p>What is reserved is offered to that role only, until it is given back. Only what nobody uses can be reserved.</p><Who /></>,
    fields: [
      { name: 'role', label: 'For the role', required: true, whole: true }, ...principalField(),
      ...shown.map((n) => ({ name: n, label: titleOf(n), type: 'number', min: 0, step: 'any', help: `${amount(free[RESOURCES.indexOf(n)], RESOURCES.indexOf(n))} free` })),
      { name: 'ports', label: 'Ports', placeholder: '31000-31005', whole: true },
    ],
    action: 'Reserve',
    run: ({ role, principal, ...amounts }) => order('RESERVE_RESOURCES', a, 'resources', resourcesOf(amounts, reservation(role.trim(), principalOf({ principal }))), again),
    done: ({ role }) => `Reserved for ${role}.`,
  });
}

function createVolume(a, disks, again) {
  return confirm({
    title: `Make a volume on ${a.hostname}`, pairs: true,
    body: <><p>A volume keeps its files when the task that uses it ends. It is made of disk that is reserved.</p><Who /></>,
    fields: [
      { name: 'disk', label: 'Of', whole: true, value: '0', options: disks.map(({ role, r }, i) => ({ value: String(i), title: `${megabytes(r.scalar.value)} of ${role}${r.disk?.source?.type ? ` (${r.disk.source.type})` : ''}` })) },
      { name: 'id', label: 'Id', required: true }, { name: 'mb', label: 'Size, MB', type: 'number', min: 1, step: 'any', required: true },
      { name: 'path', label: 'Path in containers', whole: true, help: 'Empty: its id.' }, ...principalField(),
    ],
    action: 'Make it',
    run({ disk, id, path, mb, principal }) {
      const { r, role } = disks[Number(disk)];
      if (mb > r.scalar.value) throw new Error(`There are only ${megabytes(r.scalar.value)} of that disk.`);
      return order('CREATE_VOLUMES', a, 'volumes', [volumeOn(asReserved(r, role), { id: id.trim(), path: path.trim(), mb, principal: principalOf({ principal }) })], again);
    },
    done: ({ id }) => `The volume ${id} is made.`,
  });
}

export function ReserveActions({ a, more, again }) {
  const disks = reservedOf(more).filter(({ r }) => r.name === 'disk' && r.scalar && !isVolume(r));
  return (
    <>
      <button onClick={() => reserve(a, again)}>Reserve</button>
      {disks.length > 0 && <button onClick={() => createVolume(a, disks, again)}>Make a volume</button>}
    </>
  );
}

// At the end of a line of the table of reservations.
export function GiveBack({ a, role, r, again }) {
  const exact = asReserved(r, role);
  if (isVolume(r)) {
    const id = r.disk.persistence.id;
    return <button class="danger" aria-label={`Destroy the volume ${id}`} onClick={() => confirm({
      title: `Destroy the volume ${id}?`, body: <><p>The volume and all files in it are deleted; its disk stays reserved for {role}.</p><p><strong>This cannot be undone.</strong></p></>,
      action: 'Destroy', danger: true, run: () => order('DESTROY_VOLUMES', a, 'volumes', [exact], again), done: `The volume ${id} is destroyed.`,
    })}>Destroy</button>;
  }
  if (!isDynamic(r, role)) return null; // what the agent's own flags reserve stays so
  const most = r.scalar?.value;
  const i = RESOURCES.indexOf(r.name);
  return <button aria-label={`Give back ${r.name} of ${role}`} onClick={() => confirm({
    title: `Give back ${r.name} reserved for ${role}?`, body: 'It is offered to every role then. What a task uses at the moment cannot be given back.',
    fields: most == null ? undefined : [{ name: 'much', label: `How much${i > 1 ? ', MB' : ''}`, type: 'number', min: 0, max: most, step: 'any', value: most, required: true }],
    action: 'Give back',
    run: ({ much }) => order('UNRESERVE_RESOURCES', a, 'resources', [most == null ? exact : { ...exact, scalar: { value: much } }], again),
    done: `${r.name} of ${role} is given back.`,
  })}>Give back</button>;
}
