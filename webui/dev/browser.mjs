// Debian's Chromium, or the one that CHROMIUM names, driven by playwright-core.
import { require } from '../build.mjs';

export function launch() {
  const { chromium } = require('playwright-core');
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
}
