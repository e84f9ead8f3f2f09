// A master for development: serves the built page and a made-up cluster that changes. No part of the product.
//   node dev/mock.mjs [--port 8080] [--agents 500] [--tasks 20000] [--rate 200] [--watch]
//   node dev/mock.mjs --master http://127.0.0.1:5050 [--watch]: the page's files from here, everything else from a master that runs
import http from 'node:http';
import { readFileSync, existsSync, watch } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from '../build.mjs';
import { Cluster } from './cluster.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const out = process.env.OUT || path.join(here, '../../build/webui');
const text = (name) => process.argv[process.argv.indexOf(`--${name}`) + 1 || process.argv.length];
const option = (name, otherwise) => Number(text(name) ?? otherwise);
const master = text('master');
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const INTERVAL = 250;

const cluster = new Cluster({ agents: option('agents', 500), tasks: option('tasks', 20000), frameworks: option('frameworks', 12) });
const readers = new Set();

const event = (name, data) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

function subscribe(res) {
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  for (const [name, data] of cluster.picture()) res.write(event(name, data));
  res.write(event('ready', {}));
  readers.add(res);
  res.on('close', () => readers.delete(res));
}

setInterval(() => {
  const events = cluster.step((option('rate', 200) * INTERVAL) / 1000).map(([n, d]) => event(n, d)).join('');
  for (const r of readers) r.write(events);
}, INTERVAL);
setInterval(() => {
  const beat = event('beat', { at: Date.now() / 1000, outstanding_offers: cluster.offers() });
  for (const r of readers) r.write(beat);
}, 2000);

// Everything but the page itself comes from the master.
function relay(req, res) {
  const up = http.request(master + req.url, { method: req.method, headers: { ...req.headers, host: new URL(master).host } }, (answer) => {
    res.writeHead(answer.statusCode, answer.headers);
    answer.pipe(res);
  });
  up.on('error', (e) => res.writeHead(502).end(String(e)));
  res.on('close', () => up.destroy());
  req.pipe(up);
}

const isPage = (pathname) => pathname === '/' || pathname === '/master/' || pathname.startsWith('/assets/');

function serve(req, res, body) {
  const url = new URL(req.url, 'http://x');
  if (url.pathname === '/page/events') return subscribe(res);
  if (url.pathname === '/dev/break') { // ends all streams, for tests of coming again
    for (const r of readers) r.destroy();
    return res.end();
  }
  const answer = cluster.answer(url, body);
  if (answer !== undefined) {
    const [status, data] = answer;
    res.writeHead(status, { 'Content-Type': typeof data === 'string' ? 'text/plain' : 'application/json' });
    return res.end(typeof data === 'string' ? data : JSON.stringify(data));
  }
  const file = path.join(out, url.pathname === '/' || url.pathname === '/master/' ? 'index.html' : path.normalize(url.pathname));
  if (!file.startsWith(out) || !existsSync(file)) {
    res.writeHead(404);
    return res.end(`There is nothing at '${url.pathname}'`);
  }
  res.writeHead(200, { 'Content-Type': TYPES[path.extname(file)] ?? 'application/octet-stream', 'Cache-Control': 'no-cache' });
  res.end(readFileSync(file));
}

await build({ out, minify: !process.argv.includes('--watch') });
if (process.argv.includes('--watch')) {
  let timer;
  watch(path.join(here, '../src'), { recursive: true }, () => {
    clearTimeout(timer);
    timer = setTimeout(() => build({ out, minify: false }).then(() => console.log('built'), (e) => console.error(e.message)), 100);
  });
}
http.createServer((req, res) => {
  if (master && !isPage(new URL(req.url, 'http://x').pathname)) return relay(req, res);
  const parts = [];
  req.on('data', (d) => parts.push(d));
  req.on('end', () => serve(req, res, Buffer.concat(parts).toString()));
}).listen(option('port', 8080), '127.0.0.1', () => console.log(`http://127.0.0.1:${option('port', 8080)}/`));
