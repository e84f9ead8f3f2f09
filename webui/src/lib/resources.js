// The resources that the page shows as numbers, in one order everywhere. The stream says its own order in `hello`.
export const RESOURCES = ['cpus', 'gpus', 'mem', 'disk'];
export const [CPUS, GPUS, MEM, DISK] = [0, 1, 2, 3];
export const TITLES = ['CPUs', 'GPUs', 'Memory', 'Disk'];

export const zero = () => [0, 0, 0, 0];

export function addTo(sum, more) {
  if (more) for (let i = 0; i < sum.length; i++) sum[i] += more[i] || 0;
  return sum;
}

export function minus(a, b, c) {
  return a.map((v, i) => Math.max(0, v - (b?.[i] || 0) - (c?.[i] || 0)));
}

// The largest part of any resource that is taken: how full something is.
export function fullness(used, total) {
  let most = 0;
  for (let i = 0; i < RESOURCES.length; i++) if (total[i] > 0) most = Math.max(most, used[i] / total[i]);
  return most;
}

// A function that turns the stream's arrays into ours.
export function reorder(names) {
  if (!names || RESOURCES.every((n, i) => names[i] === n)) return (a) => a;
  const from = RESOURCES.map((n) => names.indexOf(n));
  return (a) => a && from.map((i) => (i < 0 ? 0 : a[i] || 0));
}
