// What stands above a long table: a search field and choices. All of it is in the address, so that a view can be sent to somebody.
import { useEffect, useRef, useState } from 'preact/hooks';
import { route, setQuery } from '../router.js';
import { count } from '../lib/format.js';

const PAUSE = 120; // ms without a key until a search is asked for

export function SearchBox({ label, placeholder, value, onInput }) {
  const [text, setText] = useState(value);
  const timer = useRef();
  const said = useRef(value); // what was asked for last: the address then says the same, later, and more may be typed by then
  const say = (t) => {
    said.current = t;
    onInput(t);
  };
  // The address may also change by itself: by a link, or by going back.
  useEffect(() => {
    if (value !== said.current) setText((said.current = value));
  }, [value]);
  const input = (e) => {
    const typed = e.target.value;
    setText(typed);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => say(typed), PAUSE);
  };
  const keys = (e) => {
    if (e.key === 'Escape') {
      if (text) {
        clearTimeout(timer.current);
        setText('');
        say('');
      } else e.target.blur();
    } else if (e.key === 'ArrowDown' || e.key === 'Enter') {
      e.preventDefault();
      document.querySelector('main [role=grid]')?.focus();
    }
  };
  return <input type="search" data-search aria-label={label} placeholder={placeholder} value={text} onInput={input} onKeyDown={keys} spellcheck={false} />;
}

// Choices of which one holds; `options`: [{value, title, count}], the first is no filter.
export function Choices({ label, value, options, onChange }) {
  return (
    <div class="choices" role="group" aria-label={label}>
      {options.map((o) => (
        <button key={o.value} aria-pressed={o.value === value} onClick={() => onChange(o.value)}>
          {o.title}{o.count != null && <span class="soft num"> {count(o.count)}</span>}
        </button>
      ))}
    </div>
  );
}

// Keeps the rows where they are while somebody reads: a busy cluster would move them each second. Values still change.
export function Hold({ source }) {
  const [held, setHeld] = useState(false);
  useEffect(() => source.hold(held), [held, source.id]);
  return <button aria-pressed={held} class="hold" onClick={() => setHeld(!held)} title="Keep the order of the rows; their values still change">{held ? 'Order held' : 'Hold order'}</button>;
}

// A filter that came by a link ("framework: web"), with a button that takes it away.
export function Filter({ name, children, onRemove }) {
  return <span class="filter">{name}: <strong>{children}</strong><button aria-label={`Remove the filter ${name}`} onClick={onRemove}>×</button></span>;
}

// The sort order of the address as the worker wants it: {sort, descending} and what DataTable needs.
export function useSort(byDefault) {
  const sort = route.value.query.sort || byDefault;
  const descending = sort.startsWith('-');
  return { sort, onSort: (s) => setQuery({ sort: s === byDefault ? null : s }), order: { sort: descending ? sort.slice(1) : sort, descending } };
}

export { setQuery };
export const useQuery = () => route.value.query;
