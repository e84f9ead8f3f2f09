// Questions and orders to the master, and through it to agents. What goes wrong is an ApiError, whose message is for people.
import { useEffect, useRef, useState } from 'preact/hooks';

export class ApiError extends Error {
  constructor(status, text) {
    super(words(status, text));
    this.status = status;
  }
}

const MEANINGS = {
  400: 'The request was refused as wrong',
  401: 'You are not signed in; /page/sign-in asks for your name',
  403: 'You are not allowed to do that',
  404: 'There is no such thing',
  405: 'This master does not know the call',
  409: 'Something else is changing it at the moment; try again',
  501: 'This master cannot do that',
  502: 'The agent does not answer',
  503: 'The master is busy or not leading; try again',
  504: 'The agent took too long to answer',
};

function words(status, text) {
  const said = text.trim().slice(0, 500);
  const meaning = MEANINGS[status] ?? (status ? `The master answered ${status}` : 'The master does not answer');
  return said && !said.startsWith('<') ? `${meaning}: ${said}` : `${meaning}.`;
}

async function ask(url, options) {
  let answer, text;
  try {
    answer = await fetch(url, options);
    text = await answer.text();
  } catch (e) {
    if (e.name === 'AbortError') throw e;
    throw new ApiError(0, '');
  }
  if (!answer.ok) throw new ApiError(answer.status, text);
  if (!text) return null;
  return (answer.headers.get('content-type') || '').includes('json') ? JSON.parse(text) : text;
}

const query = (params) => {
  const q = new URLSearchParams(Object.entries(params ?? {}).filter(([, v]) => v != null)).toString();
  return q ? `?${q}` : '';
};

// GET of an endpoint of the master: get('/slaves', {slave_id}).
export const get = (path, params, { signal } = {}) => ask(path + query(params), { signal });

// A call of the v1 operator API: call('DRAIN_AGENT', {agent_id: {value: id}}). The answer is the part that belongs to the type.
export async function call(type, body, { signal, at = '/api/v1' } = {}) {
  const name = type.toLowerCase();
  const answer = await ask(at, {
    method: 'POST', signal, headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
    body: JSON.stringify(body ? { type, [name]: body } : { type }),
  });
  return answer?.[name] ?? answer;
}

// The same at an agent, through the master (which relays only what is safe to read).
export const agentPath = (agentId, path) => `/agent/${encodeURIComponent(agentId)}${path}`;
export const agentGet = (agentId, path, params, options) => get(agentPath(agentId, path), params, options);
export const agentCall = (agentId, type, body, options) => call(type, body, { ...options, at: agentPath(agentId, '/api/v1') });

// Asks when the view appears, again when `keys` change and each `every` ms while it is looked at.
// {data, error, loading, again()}: old data stays while new is asked for.
export function useAsk(ask, keys, every) {
  const [state, setState] = useState({ loading: true });
  const last = useRef();
  const again = useRef(() => {});
  last.current = ask;
  useEffect(() => {
    const abort = new AbortController();
    let timer;
    again.current = async () => {
      clearTimeout(timer);
      if (!document.hidden) {
        try {
          const data = await last.current({ signal: abort.signal });
          if (!abort.signal.aborted) setState({ data });
        } catch (error) {
          if (!abort.signal.aborted) setState((s) => ({ data: s.data, error }));
        }
      }
      if (every && !abort.signal.aborted) timer = setTimeout(() => again.current(), every);
    };
    setState({ loading: true });
    again.current();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [...keys, every]);
  return { ...state, again: () => again.current() };
}
