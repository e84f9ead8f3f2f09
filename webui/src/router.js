// Hash routes. `route` is what is shown; views read their parameters and the query from it.
import { signal } from '@preact/signals';
import { routes } from './routes.js';
import { linkTo, matchIn, segmentsOf } from './lib/address.js';

export const route = signal(null);
export { linkTo as link };

export const go = (href) => {
  location.hash = href;
};

// Changes parts of the query of what is shown, without a step in the history.
export function setQuery(patch) {
  const { segments, query } = route.value;
  history.replaceState(null, '', linkTo(...segments, { ...query, ...patch }));
  update();
}

function update() {
  const { segments, query } = segmentsOf(location.hash);
  const found = matchIn(routes, segments);
  route.value = { segments, query, entry: found?.entry ?? null, params: found?.params ?? {} };
}

export function startRouter() {
  addEventListener('hashchange', update);
  update();
}
