// Dialogs that ask first, and short messages that say what happened. One of each at a time; <Dialogs/> stands in the shell.
import { useEffect, useRef, useState } from 'preact/hooks';
import { signal } from '@preact/signals';
import { helpShown } from '../lib/keys.js';
import { routes } from '../routes.js';

const asked = signal(null);
const notices = signal([]);

// Asks, then does it: the dialog stays until `run(values)` has ended, and shows its error in words. Resolves to true when it was done.
//   title, body (text or nodes), action (the button's words), danger
//   fields: [{name, label, type, value, help, required, options: [{value, title}]}] for `run`; type 'checkbox' gives a boolean
//   pairs: two fields stand side by side, but those with `whole`
//   done: what to say afterwards, also as a function of the values
export function confirm(options) {
  return new Promise((resolve) => {
    asked.value = { action: 'Do it', ...options, resolve };
  });
}

// Says something for some seconds. tone: good, bad or none.
export function notify(text, tone = '') {
  const n = { text, tone };
  notices.value = [...notices.value, n];
  setTimeout(() => {
    notices.value = notices.value.filter((x) => x !== n);
  }, 6000);
}

// A modal <dialog>: the browser keeps the focus in it, and Escape closes.
export function Modal({ title, onClose, children, wide }) {
  const ref = useRef();
  useEffect(() => {
    const before = document.activeElement;
    ref.current.showModal();
    return () => before?.focus?.();
  }, []);
  return (
    <dialog ref={ref} class={wide ? 'wide' : undefined} aria-labelledby="dialog-title" onClose={onClose}
      onClick={(e) => e.target === ref.current && ref.current.close()}>
      <div class="dialog">
        <h2 id="dialog-title">{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

function Confirm({ q }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const close = (done) => {
    if (asked.value !== q) return;
    asked.value = null;
    q.resolve(done);
  };
  const submit = async (e) => {
    e.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const values = valuesOf(e.target, q.fields ?? []);
      await q.run?.(values);
      if (q.done) notify(typeof q.done === 'function' ? q.done(values) : q.done, 'good');
      close(true);
    } catch (x) {
      setError(x.message);
      setBusy(false);
    }
  };
  return (
    <Modal title={q.title} onClose={() => close(false)}>
      <form onSubmit={submit} class={q.pairs ? 'pairs' : undefined}>
        <div class="dialog-body">{typeof q.body === 'string' ? <p>{q.body}</p> : q.body}</div>
        {q.fields?.map((f) => <Field key={f.name} f={f} />)}
        {error && <p class="error" role="alert">{error}</p>}
        <div class="buttons">
          <button type="button" onClick={() => close(false)} autofocus={!q.fields}>Cancel</button>
          <button type="submit" class={q.danger ? 'danger' : 'primary'} disabled={busy}>{busy ? 'One moment …' : q.action}</button>
        </div>
      </form>
    </Modal>
  );
}

function Field({ f }) {
  const props = { name: f.name, id: `field-${f.name}`, required: f.required, 'aria-describedby': f.help ? `help-${f.name}` : undefined };
  const input = f.options
    ? <select {...props} value={f.value}>{f.options.map((o) => <option key={o.value} value={o.value}>{o.title}</option>)}</select>
    : f.type === 'checkbox' ? <input type="checkbox" {...props} defaultChecked={f.value} />
      : <input type={f.type ?? 'text'} {...props} defaultValue={f.value} min={f.min} max={f.max} step={f.step} placeholder={f.placeholder} autocomplete="off" />;
  return (
    <div class={['field', f.type === 'checkbox' && 'check', f.whole && 'whole'].filter(Boolean).join(' ')}>
      <label for={props.id}>{f.label}</label>
      {input}
      {f.help && <p class="soft" id={`help-${f.name}`}>{f.help}</p>}
    </div>
  );
}

function valuesOf(form, fields) {
  return Object.fromEntries(fields.map((f) => {
    const el = form.elements[f.name];
    return [f.name, f.type === 'checkbox' ? el.checked : f.type === 'number' ? (el.value === '' ? null : Number(el.value)) : el.value];
  }));
}

const KEYS = [
  ['/', 'search'], ['Ctrl K', 'search everything'], ['?', 'this help'], ['↑ ↓', 'move in a table'],
  ['PgUp PgDn Home End', 'move far in a table'], ['Enter', 'open the row'], ['Shift D', 'dark, light or as the system'], ['Esc', 'close, leave'],
];

function Help() {
  const lines = [...KEYS, ...routes.filter((r) => r.key).map((r) => [`g ${r.key}`, `go to ${r.title}`])];
  return (
    <Modal title="Keyboard" onClose={() => (helpShown.value = false)}>
      <dl class="keys">{lines.map(([k, what]) => <div key={k}><dt><kbd>{k}</kbd></dt><dd>{what}</dd></div>)}</dl>
      <form method="dialog" class="buttons"><button autofocus>Close</button></form>
    </Modal>
  );
}

export function Dialogs() {
  return (
    <>
      {asked.value && <Confirm key={asked.value.title} q={asked.value} />}
      {helpShown.value && <Help />}
      <div class="notices" role="status">{notices.value.map((n) => <p key={n.text} class={`notice ${n.tone}`}>{n.text}</p>)}</div>
    </>
  );
}
