// Task states as numbers, so that the worker keeps one byte a task. The stream leaves "TASK_" away. Words are in words.js.
export const STATES = [
  'STAGING', 'STARTING', 'RUNNING', 'KILLING', 'UNREACHABLE', 'UNKNOWN',
  'FINISHED', 'KILLED', 'FAILED', 'ERROR', 'LOST', 'DROPPED', 'GONE', 'GONE_BY_OPERATOR',
];

const CODE = new Map(STATES.map((name, code) => [name, code]));
const UNKNOWN = CODE.get('UNKNOWN');

export const stateCode = (name) => CODE.get(name) ?? CODE.get(String(name).replace(/^TASK_/, '')) ?? UNKNOWN;

const TONES = {
  STAGING: 'busy', STARTING: 'busy', RUNNING: 'good', KILLING: 'busy', UNREACHABLE: 'warn', UNKNOWN: 'warn',
  FINISHED: 'done', KILLED: 'mute', FAILED: 'bad', ERROR: 'bad', LOST: 'bad', DROPPED: 'bad', GONE: 'bad', GONE_BY_OPERATOR: 'mute',
  // Agents and frameworks
  active: 'good', inactive: 'warn', deactivated: 'mute', draining: 'busy', drained: 'mute', unreachable: 'bad', recovered: 'warn',
  disconnected: 'warn', completed: 'done',
};

// Which colour a state has: good, busy, warn, bad, done, mute.
export const tone = (state) => TONES[state] ?? TONES[String(state).replace(/^TASK_/, '')] ?? 'mute';

export const LIVE = new Set(['STAGING', 'STARTING', 'RUNNING', 'KILLING', 'UNREACHABLE', 'UNKNOWN']);
// What somebody should look at. Killed tasks ended as asked, and an operator knows what the operator did.
export const TROUBLE = new Set(['FAILED', 'ERROR', 'LOST', 'DROPPED', 'GONE']);
export const isTrouble = STATES.map((s) => TROUBLE.has(s));
export const isLive = STATES.map((s) => LIVE.has(s));
