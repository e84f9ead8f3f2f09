// Lints the page's sources with ESLint, wherever it was installed. Silent when all is well; skipped without ESLint (npm ci --omit=dev).
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { require } from '../build.mjs';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
let ESLint;
try {
  ({ ESLint } = require('eslint'));
} catch {
  console.log('webui: ESLint is not installed; npm ci in build/webui.npm installs it');
  process.exit(0);
}
const eslint = new ESLint({ cwd: root, overrideConfigFile: path.join(root, 'eslint.config.js') });
const results = await eslint.lintFiles(['src', 'dev', 'test', '*.mjs']);
const text = (await eslint.loadFormatter('unix').catch(() => eslint.loadFormatter('stylish'))).format(results);
if (text) console.log(await text);
process.exit(results.some((r) => r.errorCount) ? 1 : 0);
