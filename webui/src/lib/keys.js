// The keyboard: "/" and "?" and "g x" everywhere but in fields.
import { signal } from '@preact/signals';
import { routes } from '../routes.js';
import { go } from '../router.js';
import { nextTheme } from './theme.js';

export const helpShown = signal(false);

const PAUSE = 1200; // ms between "g" and its second letter
let leader = -Infinity;

const inField = (el) => el?.matches?.('input, textarea, select, [contenteditable], .xterm *');

export function focusSearch(global) {
  const box = (!global && document.querySelector('main [data-search]')) || document.querySelector('#search');
  box?.focus();
  box?.select?.();
}

export function startKeys() {
  addEventListener('keydown', (e) => {
    if ((e.ctrlKey || e.metaKey) && e.key === 'k') {
      e.preventDefault();
      focusSearch(true);
      return;
    }
    if (e.ctrlKey || e.metaKey || e.altKey || inField(e.target) || document.querySelector('dialog[open]')) return;
    if (performance.now() - leader < PAUSE) {
      leader = -Infinity;
      const to = routes.find((r) => r.key === e.key);
      if (to) {
        e.preventDefault();
        go(`#${to.path}`);
      }
      return;
    }
    if (e.key === 'g') leader = performance.now();
    else if (e.key === '/') {
      e.preventDefault();
      focusSearch(false);
    } else if (e.key === '?') helpShown.value = true;
    else if (e.key === 'D') nextTheme();
  });
}
