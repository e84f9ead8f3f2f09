// The end of a file, followed: #/agents/ID/log?path=..., or #/log of the master. Older pieces come when one scrolls up to them.
import { useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from 'preact/hooks';
import { route, setQuery } from '../router.js';
import { agentGet, get } from '../lib/api.js';
import { bytes } from '../lib/format.js';
import { matching, Tail } from '../lib/tail.js';
import { Fault, Head, Waiting } from '../components/parts.jsx';
import { download, Path } from './files.jsx';

const EVERY = 1000;

export default function Log({ id }) {
  const { path = id ? '' : '/master/log', q = '' } = route.value.query;
  const [, redraw] = useReducer((n) => n + 1, 0);
  const [error, setError] = useState(null);
  const [following, setFollowing] = useState(true);
  const [wrap, setWrap] = useState(true);
  const tail = useMemo(() => new Tail((offset, length) => (id ? agentGet(id, '/files/read', { path, offset, length }) : get('/files/read', { path, offset, length }))), [id, path]);
  const name = path.slice(path.lastIndexOf('/') + 1);

  useEffect(() => {
    let over = false;
    let timer;
    const turn = async () => {
      try {
        if (!document.hidden && (await tail.follow())) redraw();
        setError(null);
      } catch (e) {
        setError(e);
      }
      if (!over) timer = setTimeout(turn, EVERY);
    };
    turn();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [tail]);

  return (
    <>
      <Head kind="File" title={name || 'No path was given'}>
        <label class="check"><input type="checkbox" checked={following} onChange={(e) => setFollowing(e.target.checked)} /> Follow</label>
        <label class="check"><input type="checkbox" checked={wrap} onChange={(e) => setWrap(e.target.checked)} /> Wrap lines</label>
        <a class="button" href={download(id, path)} download={name}>Download</a>
      </Head>
      <div class="log-bar">
        {id ? <Path id={id} path={path} file /> : <span class="mono">{path}</span>}
        <input type="search" value={q} placeholder="Only lines with …" aria-label="Only lines with" onInput={(e) => setQuery({ q: e.target.value })} />
      </div>
      <Fault error={error} />
      {error && <Why error={error} path={path} />}
      {tail.end == null ? !error && <Waiting /> : <Text {...{ tail, q, following, setFollowing, wrap, redraw, setError }} />}
    </>
  );
}

// What may have happened to a file that cannot be read.
function Why({ error, path }) {
  if (error.status !== 404) return null;
  return <p class="soft">{/^\/(slave|master)\/log$/.test(path)
    ? 'The daemon writes no log file; start it with --log_dir. Under systemd its log is in the journal.'
    : 'Sandboxes of tasks that ended are removed after a while (--gc_delay), sooner when the disk is full.'}</p>;
}

function Text({ tail, q, following, setFollowing, wrap, redraw, setError }) {
  const box = useRef();
  const fromEnd = useRef(0); // what is below the eye stays where it is when older text comes above
  const busy = useRef(false);
  const shown = q ? matching(tail.text(), q) : null;

  useLayoutEffect(() => {
    const b = box.current;
    if (following) b.scrollTop = b.scrollHeight;
    else if (fromEnd.current) b.scrollTop = b.scrollHeight - fromEnd.current;
    fromEnd.current = 0;
  });
  const older = async () => {
    if (busy.current || !tail.more) return;
    busy.current = true;
    try {
      await tail.older();
      fromEnd.current = box.current.scrollHeight - box.current.scrollTop;
      redraw();
    } catch (e) {
      setError(e);
    }
    busy.current = false;
  };
  const onScroll = () => {
    const b = box.current;
    const atEnd = b.scrollHeight - b.scrollTop - b.clientHeight < 24;
    if (atEnd !== following) setFollowing(atEnd);
    if (b.scrollTop < 200 && !following) older();
  };
  return (
    <>
      <div class={wrap ? 'log wrap' : 'log'} ref={box} onScroll={onScroll} tabindex={0} role="log" aria-label="Text of the file" aria-live="off">
        {tail.more && <button class="plain" onClick={older}>Older text ({bytes(tail.start)} before)</button>}
        {shown != null ? <div>{shown || 'No line has that, in what was read.'}</div> : tail.pieces.map((p) => <div key={p.key}>{p.text}</div>)}
      </div>
      <p class="soft log-foot">{tail.end === 0 ? 'The file is empty.' : `Bytes ${tail.start.toLocaleString('en')} to ${tail.end.toLocaleString('en')}.`}{tail.dropped && ' What was read first was let go; scroll up to read it again.'}</p>
    </>
  );
}
