// The search of the whole cluster, in the head of the page: what is found stands below the field; arrows choose, Enter opens.
import { useState } from 'preact/hooks';
import { go, link } from '../router.js';
import { useRows } from '../store.js';
import { count } from '../lib/format.js';
import { State } from './parts.jsx';

const FEW = 5;

export function Search() {
  const [text, setText] = useState('');
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(0);
  const close = () => {
    setOpen(false);
    document.activeElement?.blur?.();
  };
  return (
    <div class="search" role="search" onFocusOut={(e) => !e.currentTarget.contains(e.relatedTarget) && setOpen(false)}>
      <input id="search" type="search" placeholder="Search the cluster" aria-label="Search the cluster" role="combobox" aria-expanded={open && !!text}
        aria-controls="found" aria-autocomplete="list" aria-activedescendant={open && text ? `found-${active}` : undefined} autocomplete="off"
        spellcheck={false} value={text} onFocus={() => setOpen(true)}
        onInput={(e) => { setText(e.target.value); setOpen(true); setActive(0); }}
        onKeyDown={(e) => {
          if (e.key === 'Escape') close();
          else if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
            e.preventDefault();
            const n = document.querySelectorAll('#found [role=option]').length;
            setActive((i) => Math.max(0, Math.min(n - 1, i + (e.key === 'ArrowDown' ? 1 : -1))));
          } else if (e.key === 'Enter') {
            document.querySelector(`#found-${active}`)?.click();
          }
        }} />
      {!text && <kbd aria-hidden="true">/</kbd>}
      {open && text.trim() && <Found text={text.trim()} active={active} onDone={close} />}
    </div>
  );
}

function Found({ text, active, onDone }) {
  const agents = useRows('agents', { q: text }, FEW), frameworks = useRows('frameworks', { q: text }, FEW);
  const roles = useRows('roles', { q: text }, FEW), tasks = useRows('tasks', { q: text }, FEW);
  const groups = [
    { title: 'Frameworks', of: frameworks, line: (f) => ({ href: link('frameworks', f.id), text: f.name, more: f.id, state: f.state }) },
    { title: 'Agents', of: agents, line: (a) => ({ href: link('agents', a.id), text: a.hostname, more: a.id, state: a.state }), all: link('agents', { q: text }) },
    { title: 'Roles', of: roles, line: (r) => ({ href: link('roles', { q: r.name }), text: r.name }) },
    { title: 'Tasks', of: tasks, line: (t) => ({ href: link('tasks', t.frameworkId, t.id), text: t.name, more: t.id === t.name ? t.hostname : t.id, state: t.state }), all: link('tasks', { q: text }) },
  ].filter((g) => g.of.total);
  let n = 0;
  const open = (href) => () => {
    go(href);
    onDone();
  };
  const option = (href, body, cls) => {
    const i = n++;
    return <div role="option" id={`found-${i}`} key={href} aria-selected={i === active} class={cls} onMouseDown={(e) => e.preventDefault()} onClick={open(href)}>{body}</div>;
  };
  return (
    <div class="found" id="found" role="listbox" aria-label="What was found">
      {groups.map((g) => (
        <div role="group" aria-label={g.title} key={g.title}>
          <p class="kind" aria-hidden="true">{g.title} <span class="num">{count(g.of.total)}</span></p>
          {rowsOf(g.of).map((row) => {
            const l = g.line(row);
            return option(l.href, <><span class="found-name">{l.text}</span>{l.more && <span class="soft mono">{l.more}</span>}{l.state && <State state={l.state} />}</>);
          })}
          {g.all && g.of.total > FEW && option(g.all, `All ${count(g.of.total)} ${g.title.toLowerCase()}`, 'soft')}
        </div>
      ))}
      {!groups.length && <p class="soft">{[agents, frameworks, roles, tasks].some((s) => s.loading) ? 'Searching …' : 'Nothing has that in its name.'}</p>}
    </div>
  );
}

const rowsOf = (source) => Array.from({ length: Math.min(FEW, source.total) }, (_, i) => source.get(i)).filter(Boolean);
