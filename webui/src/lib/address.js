// Addresses of views, without the browser: the router uses them, and the tests.
const decode = (text) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

// "#/agents/ID?sort=name" as {segments, query}.
export function segmentsOf(hash) {
  const [path, search = ''] = hash.replace(/^#?\/?/, '').split(/\?(.*)/s);
  return { segments: path.split('/').filter(Boolean).map(decode), query: Object.fromEntries(new URLSearchParams(search)) };
}

// The first route whose pattern fits: ":x" takes one segment. null when there is none.
export function matchIn(table, segments) {
  for (const entry of table) {
    const parts = entry.path.split('/').filter(Boolean);
    if (parts.length !== segments.length || !parts.every((p, i) => p[0] === ':' || p === segments[i])) continue;
    return { entry, params: Object.fromEntries(parts.flatMap((p, i) => (p[0] === ':' ? [[p.slice(1), segments[i]]] : []))) };
  }
  return null;
}

// linkTo('tasks', framework, id), linkTo('tasks', {state: 'RUNNING'}). What is empty in a query is left out.
export function linkTo(...parts) {
  const query = typeof parts.at(-1) === 'object' ? parts.pop() : null;
  const search = query && new URLSearchParams(Object.entries(query).filter(([, v]) => v != null && v !== '')).toString();
  return `#/${parts.map(encodeURIComponent).join('/')}${search ? `?${search}` : ''}`;
}
