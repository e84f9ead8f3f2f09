// Reads /page/events and comes again when it ends. fetch() and not EventSource: a refusal has a status that can be told in words, a master
// that does not lead answers with a redirect, and silence is noticed.
const SILENCE = 10_000; // ms: the master says something each 2 s
const WAITS = [250, 500, 1000, 2000, 4000, 8000, 15000];

// Takes text apart into events. A chunk may end anywhere.
export class EventParser {
  #rest = '';
  #event = '';
  #data = [];

  constructor(onEvent) {
    this.onEvent = onEvent;
  }

  push(text) {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop();
    for (const raw of lines) this.#line(raw.endsWith('\r') ? raw.slice(0, -1) : raw);
  }

  #line(line) {
    if (line === '') {
      if (this.#data.length) this.onEvent(this.#event || 'message', this.#data.join('\n'));
      this.#event = '';
      this.#data = [];
    } else if (line.startsWith('data:')) this.#data.push(line.slice(line[5] === ' ' ? 6 : 5));
    else if (line.startsWith('event:')) this.#event = line.slice(6).trim();
  }
}

export class Stream {
  #tries = 0;
  #timer = null;
  #abort = null;

  // onOpen() before the first event of each connection; onEvent(name, object); onState({state, error, retryAt}).
  constructor(url, { onOpen, onEvent, onState }) {
    Object.assign(this, { url, onOpen, onEvent, onState });
  }

  start() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#run();
  }

  async #run() {
    const abort = (this.#abort = new AbortController());
    let why;
    try {
      why = await this.#read(abort);
    } catch (e) {
      why = { state: 'lost', error: abort.signal.reason?.words ?? 'The master does not answer.', detail: String(e) };
    }
    if (this.#abort !== abort) return; // start() was called meanwhile
    const wait = WAITS[Math.min(this.#tries++, WAITS.length - 1)] * (0.75 + Math.random() / 2);
    this.onState({ ...why, retryAt: Date.now() + wait });
    this.#timer = setTimeout(() => this.#run(), wait);
  }

  async #read(abort) {
    const answer = await fetch(this.url, {
      signal: abort.signal, redirect: 'manual', cache: 'no-store', headers: { Accept: 'text/event-stream' },
    });
    if (answer.type === 'opaqueredirect') return { state: 'follower', error: 'This master does not lead the cluster.' };
    if (answer.status === 401) return { state: 'denied', signIn: true, error: 'The master wants to know who you are.' };
    if (!answer.ok) return { state: answer.status === 403 ? 'denied' : 'lost', error: await refusal(answer) };
    this.onOpen();
    this.onState({ state: 'loading' });
    const parser = new EventParser((name, data) => {
      if (name === 'ready') {
        this.#tries = 0;
        this.onState({ state: 'live' });
      }
      this.onEvent(name, JSON.parse(data));
    });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const quiet = setTimeout(() => abort.abort({ words: 'The master has been silent for ten seconds.' }), SILENCE);
      const { done, value } = await reader.read().finally(() => clearTimeout(quiet));
      if (done) return { state: 'lost', error: 'The master closed the connection.' };
      parser.push(value);
    }
  }
}

async function refusal(answer) {
  const text = (await answer.text().catch(() => '')).trim().slice(0, 300);
  if (answer.status === 503) return text || 'No master leads the cluster at the moment.';
  return text || `The master answered ${answer.status}.`;
}
