// Dark and light: as the system says, unless somebody chose. index.html has the same two lines, so that nothing flashes.
import { signal } from '@preact/signals';

const KEY = 'fairlead.theme';
const CHOICES = ['auto', 'light', 'dark'];

export const theme = signal(read());

function read() {
  try {
    const t = localStorage.getItem(KEY);
    return CHOICES.includes(t) ? t : 'auto';
  } catch {
    return 'auto';
  }
}

export function nextTheme() {
  theme.value = CHOICES[(CHOICES.indexOf(theme.value) + 1) % CHOICES.length];
  document.documentElement.dataset.theme = theme.value;
  try {
    localStorage.setItem(KEY, theme.value);
  } catch {
    // Private windows may keep nothing: then the choice holds for this page.
  }
}
