// The shell: navigation, search, the state of the connection, the view of the address, and what is shown when a view breaks.
import { Component } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { route } from './router.js';
import { routes } from './routes.js';
import { connection, hello, now, retry, summary } from './store.js';
import { count, duration } from './lib/format.js';
import { nextTheme, theme } from './lib/theme.js';
import { helpShown } from './lib/keys.js';
import { Dialogs } from './components/dialog.jsx';
import { Search } from './components/search.jsx';

export function App() {
  const { entry } = route.value;
  const [menu, setMenu] = useState(false);
  useEffect(() => setMenu(false), [route.value]);
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.querySelector('main').focus(); }}>To the contents</a>
      <header class="top">
        <button class="menu" aria-expanded={menu} aria-controls="nav" aria-label="Menu" onClick={() => setMenu(!menu)}>☰</button>
        <a class="brand" href="#/">Fairlead<span class="soft">{hello.value?.cluster}</span></a>
        <Search />
        <Connection />
        <button class="plain" onClick={nextTheme} title="Dark, light or as the system (Shift D)"><span aria-hidden="true">◐ </span>{theme.value === 'auto' ? 'Auto' : theme.value === 'dark' ? 'Dark' : 'Light'}<span class="hidden"> theme</span></button>
        <button class="plain help" onClick={() => (helpShown.value = true)} aria-label="Keyboard help" title="Keyboard (?)">?</button>
      </header>
      <Nav open={menu} entry={entry} />
      <main id="main" tabindex={-1}>
        <Banner />
        <Boundary key={location.hash.split('?')[0]}>{entry ? <View entry={entry} /> : <Missing />}</Boundary>
      </main>
      <Dialogs />
    </>
  );
}

function Nav({ open, entry }) {
  const counts = summary.value && { ...summary.value.counts, offers: summary.value.offers };
  const here = entry?.part ?? entry?.path;
  return (
    <nav id="nav" class={open ? 'open' : undefined} aria-label="Views">
      {routes.filter((r) => r.nav).map((r) => (
        <a key={r.path} href={`#${r.path}`} aria-current={r.path === here ? 'page' : undefined}>
          {r.title}{r.count && counts?.[r.count] != null && <span class="num soft">{count(counts[r.count])}</span>}
        </a>
      ))}
      {hello.value && <p class="soft about">{hello.value.hostname}<br />version {hello.value.master_version}</p>}
    </nav>
  );
}

const WORDS = { connecting: 'connecting', loading: 'loading', live: 'live', lost: 'not connected', denied: 'not allowed', follower: 'not leading' };
const TONES = { connecting: 'busy', loading: 'busy', live: 'good', lost: 'bad', denied: 'bad', follower: 'warn' };

function Connection() {
  const { state } = connection.value;
  return <span class={`state connection ${TONES[state]}`} role="status">{WORDS[state]}</span>;
}

// A thin line above the view while what is shown may be old.
function Banner() {
  const c = connection.value;
  const at = now.value;
  if (c.state === 'live' || !(c.error || (c.since && at - c.since / 1000 > 3))) return null;
  const wait = c.retryAt ? Math.max(0, Math.ceil(c.retryAt / 1000 - at)) : null;
  return (
    <div class="banner" role="alert">
      <span>
        {c.error ?? 'Connecting again.'} {summary.value && c.since && `What you see is ${duration(at - c.since / 1000)} old.`}
        {wait != null && <span aria-hidden="true"> Trying again {wait ? `in ${wait} s` : 'now'}.</span>}
      </span>
      {c.state === 'follower' ? <a class="button" href="/redirect">To the leader</a> : c.signIn ? <a class="button" href="/page/sign-in">Sign in</a> : <button onClick={retry}>Try now</button>}
    </div>
  );
}

const loaded = new Map();

// Loads the view's file when it is first shown.
function View({ entry }) {
  const [, again] = useState(0);
  const [error, setError] = useState(null);
  const V = loaded.get(entry);
  useEffect(() => {
    // preload() may have brought it since this was drawn.
    if (!V) entry.view().then((m) => { loaded.set(entry, m.default); again((n) => n + 1); }, setError);
  }, [entry]);
  if (error) throw error;
  return V ? <V {...route.value.params} /> : null;
}

// Loads the other views' files while nothing else is to do, so that they open at once.
export const preload = () => routes.forEach((r) => !r.heavy && r.view().then((m) => loaded.set(r, m.default), () => {}));

class Boundary extends Component {
  state = { error: null };
  static getDerivedStateFromError(error) {
    return { error };
  }
  componentDidCatch(error) {
    console.error(error);
  }
  render({ children }, { error }) {
    if (!error) return children;
    return (
      <div class="missing">
        <h1>This view broke</h1>
        <p>The rest of the page goes on. A newer page may be there: load it again.</p>
        <pre>{String(error.stack ?? error)}</pre>
        <p class="buttons"><button onClick={() => this.setState({ error: null })}>Try again</button><button class="primary" onClick={() => location.reload()}>Load the page again</button></p>
      </div>
    );
  }
}

function Missing() {
  return <div class="missing"><h1>There is no such view</h1><p>Nothing is at <code>{location.hash}</code>. <a href="#/">To the overview</a></p></div>;
}
