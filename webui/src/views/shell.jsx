// A shell in a task's container: #/tasks/FRAMEWORK/ID/shell. The master carries it over a WebSocket; the container of the shell
// ends with the page.
import { useEffect, useRef, useState } from 'preact/hooks';
import { Terminal } from '@xterm/xterm';
import { FitAddon } from '@xterm/addon-fit';
import '@xterm/xterm/css/xterm.css';
import { link } from '../router.js';
import { agentPath, get, useAsk } from '../lib/api.js';
import { dottedContainer, newContainer } from '../lib/sandbox.js';
import { Fault, Head, NotThere, Waiting } from '../components/parts.jsx';

export default function Shell({ framework, id }) {
  const { data, error } = useAsk(({ signal }) => get('/page/task', { framework_id: framework, task_id: id }, { signal }), [framework, id]);
  const [round, setRound] = useState(0);
  const [end, setEnd] = useState(null);
  if (error?.status === 404) return <NotThere what="task" id={id} />;
  const parent = data && dottedContainer(data.task);
  const running = data && /RUNNING|STARTING|KILLING/.test(data.task.state);
  const again = () => {
    setEnd(null);
    setRound(round + 1);
  };
  return (
    <>
      <Head kind="Shell" title={data?.task.name ?? id} sub={data?.agent.hostname}>
        {end && <button onClick={again}>New shell</button>}
        <a class="button" href={link('tasks', framework, id)}>The task</a>
      </Head>
      <Fault error={error} />
      {!data && !error && <Waiting />}
      {data && !(parent && running) && <p class="error" role="alert">The task does not run; a shell needs its container.</p>}
      {parent && running && <Screen key={round} agent={data.agent.id} parent={parent} onEnd={setEnd} />}
      {end && <p role="status" class={end.bad ? 'error' : 'soft'}>{end.text}</p>}
    </>
  );
}

// A wait status as people say it.
export function exitWords(status) {
  return (status & 0x7f) === 0 ? { text: `The shell ended with status ${status >> 8}.` } : { text: `The shell was ended by signal ${status & 0x7f}.`, bad: true };
}

function Screen({ agent, parent, onEnd }) {
  const box = useRef();
  useEffect(() => {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const term = new Terminal({
      fontFamily: colour('--mono'), fontSize: 13, cursorBlink: true, scrollback: 10000, screenReaderMode: true,
      theme: { background: '#14171b', foreground: '#e3e6ea', cursor: '#78aef7' },
    });
    const fit = new FitAddon();
    term.loadAddon(fit);
    term.open(box.current);
    fit.fit();
    term.focus();
    const url = new URL(agentPath(agent, '/shell'), location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    url.search = new URLSearchParams({ container_id: newContainer(parent), rows: term.rows, columns: term.cols });
    const socket = new WebSocket(url);
    socket.binaryType = 'arraybuffer';
    const keys = new TextEncoder();
    let told = false;
    const finish = (end) => {
      if (told) return;
      told = true;
      onEnd(end);
    };
    const send = (data) => socket.readyState === WebSocket.OPEN && socket.send(data);
    socket.onmessage = ({ data }) => {
      if (typeof data !== 'string') return term.write(new Uint8Array(data));
      const said = JSON.parse(data);
      finish(said.error ? { text: said.error, bad: true } : exitWords(said.exit));
    };
    socket.onclose = () => finish({ text: 'The connection to the shell broke, or was refused. The master and the agent must allow it.', bad: true });
    term.onData((data) => send(keys.encode(data)));
    term.onBinary((data) => send(Uint8Array.from(data, (c) => c.charCodeAt(0))));
    term.onResize(({ rows, cols }) => send(JSON.stringify({ rows, columns: cols })));
    const observer = new ResizeObserver(() => fit.fit());
    observer.observe(box.current);
    return () => {
      told = true;
      observer.disconnect();
      socket.close();
      term.dispose();
    };
  }, [agent, parent]);
  return <div class="shell-box" ref={box} aria-label="Terminal" role="group" />;
}
