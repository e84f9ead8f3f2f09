// Draws the map of agents onto a canvas, and its legend's samples with the same strokes. Colours come from the style sheet.
import { level } from '../lib/topology.js';
import { tone } from '../lib/states.js';

const NAMES = ['--text', '--soft', '--bad', '--warn', '--busy', '--mute', '--good', '--rest', '--bg', '--panel', '--use-0', '--use-1', '--use-2', '--use-3', '--use-4', '--use-5'];

export function colours(element) {
  const style = getComputedStyle(element);
  return Object.fromEntries(NAMES.map((n) => [n, style.getPropertyValue(n).trim()]));
}

// What a cell looks like: a level of use for agents that are used, else a mark of its own for each state, told by form and not by colour only.
export function look(agent, resource) {
  if (agent.state !== 'active') return agent.state;
  if (resource < 0) return 'active';
  return `use${level(agent.used[resource], agent.total[resource])}`;
}

function box(ctx, x, y, s, colour) {
  ctx.fillStyle = colour;
  ctx.fillRect(x, y, s, s);
}

function frame(ctx, x, y, s, colour) {
  const line = s > 9 ? 2 : 1;
  ctx.strokeStyle = colour;
  ctx.lineWidth = line;
  ctx.strokeRect(x + line / 2, y + line / 2, s - line, s - line);
}

function cross(ctx, x, y, s, colour) {
  ctx.strokeStyle = colour;
  ctx.lineWidth = s > 9 ? 2 : 1;
  ctx.beginPath();
  ctx.moveTo(x + 1.5, y + 1.5);
  ctx.lineTo(x + s - 1.5, y + s - 1.5);
  ctx.moveTo(x + s - 1.5, y + 1.5);
  ctx.lineTo(x + 1.5, y + s - 1.5);
  ctx.stroke();
}

function half(ctx, x, y, s, colour) {
  ctx.fillStyle = colour;
  ctx.beginPath();
  ctx.moveTo(x, y + s);
  ctx.lineTo(x + s, y + s);
  ctx.lineTo(x + s, y);
  ctx.fill();
}

const MARKS = {
  unreachable: (ctx, x, y, s, c) => { box(ctx, x, y, s, c['--bad']); cross(ctx, x, y, s, c['--panel']); },
  inactive: (ctx, x, y, s, c) => { frame(ctx, x, y, s, c['--warn']); cross(ctx, x, y, s, c['--warn']); },
  recovered: (ctx, x, y, s, c) => { frame(ctx, x, y, s, c['--warn']); box(ctx, x + s / 3, y + s / 3, s / 3, c['--warn']); },
  draining: (ctx, x, y, s, c) => { frame(ctx, x, y, s, c['--text']); half(ctx, x, y, s, c['--text']); },
  drained: (ctx, x, y, s, c) => frame(ctx, x, y, s, c['--text']),
  deactivated: (ctx, x, y, s, c) => { frame(ctx, x, y, s, c['--mute']); box(ctx, x + s / 3, y + s / 3, s / 3, c['--mute']); },
  'use-1': (ctx, x, y, s, c) => box(ctx, x + s / 3, y + s / 3, s / 3, c['--rest']),
  active: (ctx, x, y, s, c) => box(ctx, x, y, s, c['--good']),
};

export function mark(ctx, kind, x, y, s, c) {
  if (MARKS[kind]) MARKS[kind](ctx, x, y, s, c);
  else if (kind.startsWith('use')) box(ctx, x, y, s, c[`--use-${kind.slice(3)}`]);
  else box(ctx, x, y, s, c[`--${tone(kind)}`]);
}

// All of it. Cells of one look are drawn together, so that the colour changes a few times and not thousands. Returns what each looks like.
export function draw(ctx, { cells, labels, size }, agents, resource, c, width) {
  ctx.textBaseline = 'top';
  for (const l of labels) {
    ctx.fillStyle = l.zone ? c['--text'] : c['--soft'];
    ctx.font = l.zone ? '600 12px system-ui, sans-serif' : '11px system-ui, sans-serif';
    ctx.fillText(l.text, l.x, l.y + (l.zone ? 4 : 1), l.zone ? width : Math.max(l.width, 20));
  }
  const looks = cells.map((cell) => look(agents[cell.agent], resource));
  for (const kind of new Set(looks)) cells.forEach((cell, i) => looks[i] === kind && mark(ctx, kind, cell.x, cell.y, size - 1, c));
  return looks;
}

// Only the cells that look different than before: a few, most of the time.
export function redraw(ctx, { cells, size }, agents, resource, c, looks) {
  cells.forEach((cell, i) => {
    const kind = look(agents[cell.agent], resource);
    if (kind === looks[i]) return;
    looks[i] = kind;
    ctx.clearRect(cell.x, cell.y, size, size);
    mark(ctx, kind, cell.x, cell.y, size - 1, c);
  });
}
