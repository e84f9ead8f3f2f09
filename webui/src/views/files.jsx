// The files of an agent: a task's sandbox, the agent's log. #/agents/ID/browse?path=...
import { useOne } from '../store.js';
import { link, route } from '../router.js';
import { agentGet, agentPath, useAsk } from '../lib/api.js';
import { bytes } from '../lib/format.js';
import { crumbs } from '../lib/sandbox.js';
import { Ago, Fault, Head, Waiting } from '../components/parts.jsx';

const nameOf = (path) => path.slice(path.lastIndexOf('/') + 1);
export const download = (agent, path) => `${agent ? agentPath(agent, '/files/download') : '/files/download'}?${new URLSearchParams({ path })}`;

export default function Files({ id }) {
  const { path } = route.value.query;
  return path ? <Folder id={id} path={path} /> : <Roots id={id} />;
}

// What the agent shows at all: sandboxes, and its log. A sandbox is there under several names; the one with the task's is enough.
function Roots({ id }) {
  const agent = useOne('agents', { id });
  const { data, error, loading, again } = useAsk(({ signal }) => agentGet(id, '/files/debug', null, { signal }), [id]);
  const roots = Object.keys(data ?? {}).filter((p) => p.startsWith('/frameworks/') || p.endsWith('/log')).sort();
  return (
    <>
      <Head kind="Files" title={agent?.hostname ?? id}><a class="button" href={link('agents', id)}>The agent</a></Head>
      <Fault error={error} again={again} />
      {loading && <Waiting />}
      {data && !roots.length && <p class="soft">No task has a sandbox there.</p>}
      {roots.length > 0 && <ul class="roots panel mono">{roots.map((p) => <li key={p}><a href={link('agents', id, p.endsWith('/log') ? 'log' : 'browse', { path: p })}>{p}</a></li>)}</ul>}
    </>
  );
}

function Folder({ id, path }) {
  const agent = useOne('agents', { id });
  const { data, error, loading, again } = useAsk(({ signal }) => agentGet(id, '/files/browse', { path }, { signal }), [id, path], 5000);
  return (
    <>
      <Head kind="Files" title={agent?.hostname ?? id}>
        <a class="button" href={link('agents', id, 'browse')}>All sandboxes</a>
        <a class="button" href={link('agents', id)}>The agent</a>
      </Head>
      <Path id={id} path={path} />
      <Fault error={error} again={again} />
      {loading && <Waiting />}
      {error?.status === 404 && <p class="soft">Sandboxes of tasks that ended are removed after a while (--gc_delay), sooner when the disk is full.</p>}
      {data && <List id={id} files={data} />}
    </>
  );
}

// Sandboxes have long paths: each folder is a way up. The first folders of one are no folders of the machine and cannot be opened.
export function Path({ id, path, file }) {
  const sandbox = /^\/frameworks\/[^/]+\/executors\/[^/]+\/runs\/[^/]+/.exec(path)?.[0];
  const parts = crumbs(path, sandbox ?? '');
  return (
    <nav class="path mono" aria-label="Path">
      {sandbox && <a href={link('agents', id, 'browse', { path: sandbox })}>sandbox</a>}
      {parts.map((p, i) => (
        <span key={p.path}>/{i === parts.length - 1 && file ? <strong>{p.name}</strong> : <a href={link('agents', id, 'browse', { path: p.path })}>{p.name}</a>}</span>
      ))}
    </nav>
  );
}

function List({ id, files }) {
  if (!files.length) return <p class="soft">The folder is empty.</p>;
  return (
    <div class="panel scroll"><table class="files">
      <thead><tr><th scope="col">Name</th><th scope="col" class="end">Size</th><th scope="col">Changed</th><th scope="col">Mode</th><th scope="col">Owner</th><th scope="col"><span class="hidden">Download</span></th></tr></thead>
      <tbody>{files.map((f) => {
        const folder = f.mode[0] === 'd';
        const name = nameOf(f.path);
        return (
          <tr key={f.path}>
            <td><a href={link('agents', id, folder ? 'browse' : 'log', { path: f.path })}>{name}{folder && '/'}</a></td>
            <td class="end num">{folder ? '' : bytes(f.size)}</td>
            <td><Ago time={f.mtime} /></td>
            <td class="mono soft">{f.mode}</td>
            <td class="soft">{f.uid}:{f.gid}</td>
            <td>{!folder && <a href={download(id, f.path)} download={name} aria-label={`Download ${name}`}>download</a>}</td>
          </tr>
        );
      })}</tbody>
    </table></div>
  );
}
