// Weight and quota of roles.
import { call } from '../lib/api.js';
import { RESOURCES } from '../lib/resources.js';
import { quotaOf, titleOf } from '../lib/orders.js';
import { summary } from '../store.js';
import { confirm } from './dialog.jsx';

const tidy = (v) => (v == null ? undefined : Math.round(v * 1000) / 1000);

// Guarantee and limit of each resource that the cluster has, side by side.
function quotaFields(r) {
  const total = summary.value?.sums.total ?? [];
  return RESOURCES.flatMap((n, i) => {
    if (!total[i] && r?.limit?.[i] == null && !r?.guarantee?.[i]) return [];
    const field = (prefix, words, value) => ({ name: `${prefix}-${n}`, label: `${titleOf(n)}: ${words}`, type: 'number', min: 0, step: 'any', value: tidy(value) });
    return [field('guarantee', 'guaranteed', r?.guarantee?.[i] || null), field('limit', 'at most', r?.limit?.[i])];
  });
}

const FORCE = { name: 'force', type: 'checkbox', label: 'Also when it does not fit', help: 'Without the check that the cluster can hold all guarantees, and that the role has no more than its limit already.' };
const QUOTA = 'Guarantees are kept free for the role, also from others. Limits are what it may have at most, with all roles below it; what it has above a new limit is not taken away. Leave empty what shall have neither.';

// Only what was changed is sent: who may set weights may not be allowed to set quota.
const before = (fields) => JSON.stringify(fields.map((f) => f.value ?? null));
const after = (fields, values) => JSON.stringify(fields.map((f) => values[f.name]));

function change(r) {
  const nested = r.name.includes('/'); // quota is for roles at the top
  const quota = nested ? [] : quotaFields(r);
  return confirm({
    title: `Weight${nested ? '' : ' and quota'} of ${r.name}`, pairs: true, action: 'Set',
    body: <><p>Of what several roles want, one with weight 2 gets twice as much as one with weight 1.</p>{!nested && <p>{QUOTA}</p>}</>,
    fields: [{ name: 'weight', label: 'Weight', type: 'number', value: r.weight, min: 0.001, step: 'any', required: true, whole: true }, ...quota, ...(nested ? [] : [FORCE])],
    async run({ weight, force, ...values }) {
      if (weight !== r.weight) await call('UPDATE_WEIGHTS', { weight_infos: [{ role: r.name, weight }] });
      if (before(quota) !== after(quota, values)) await call('UPDATE_QUOTA', { force, quota_configs: [quotaOf(r.name, values)] });
    },
    done: `${r.name} is changed.`,
  });
}

// A role that nobody uses yet may have quota as well.
function newQuota() {
  return confirm({
    title: 'Quota of a role', pairs: true, body: QUOTA, action: 'Set',
    fields: [{ name: 'role', label: 'Role', required: true, whole: true }, ...quotaFields(null), FORCE],
    run: ({ force, role, ...values }) => call('UPDATE_QUOTA', { force, quota_configs: [quotaOf(role.trim(), values)] }),
    done: ({ role }) => `The quota of ${role} is set.`,
  });
}

// In a row of the table of roles.
export const ChangeRole = ({ r }) => <button class="in-row" onClick={() => change(r)} aria-label={`Change weight and quota of ${r.name}`}>Change</button>;

export const NewQuota = () => <button onClick={newQuota}>Set quota of a role</button>;
