// Builds the page: `node build.mjs`, into $OUT (../build/webui). Names carry a hash of the contents, so that browsers keep them for ever.
import { createRequire } from 'node:module';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const OUT = process.env.OUT || path.join(here, '../build/webui');

// tools/build_webui.sh puts the sources beside node_modules; from the source tree it is what that left below build/.
export const modules = [path.join(here, 'node_modules'), path.join(here, '../build/webui.npm/node_modules')].find(existsSync);
if (!modules) throw new Error('no node_modules: run tools/build_webui.sh build/webui first');
export const require = createRequire(path.join(modules, 'x.js'));

const common = {
  bundle: true, format: 'esm', splitting: true, minify: true, metafile: true, target: ['es2022'], logLevel: 'warning', legalComments: 'none',
  jsx: 'automatic', jsxImportSource: 'preact', nodePaths: [modules], absWorkingDir: here,
  entryNames: 'assets/[name]-[hash]', chunkNames: 'assets/[name]-[hash]', assetNames: 'assets/[name]-[hash]',
};

export async function build({ out = OUT, minify = true } = {}) {
  const esbuild = require('esbuild');
  rmSync(path.join(out, 'assets'), { recursive: true, force: true });
  mkdirSync(path.join(out, 'assets'), { recursive: true });
  const options = { ...common, minify, outdir: out };
  const worker = await esbuild.build({ ...options, entryPoints: ['src/worker/worker.js'] });
  const page = await esbuild.build({ ...options, entryPoints: ['src/main.jsx'], define: { WORKER_URL: JSON.stringify(`/${entry(worker, out).name}`) } });
  const main = entry(page, out);
  // esbuild writes the styles of every view again beside it; the page's own has them all.
  for (const file of Object.keys(page.metafile.outputs)) {
    const name = path.relative(out, path.resolve(here, file));
    if (name.endsWith('.css') && name !== main.css) rmSync(path.join(out, name));
  }
  const icon = readFileSync(path.join(here, 'src/icon.svg'));
  const iconName = `assets/icon-${createHash('sha256').update(icon).digest('hex').slice(0, 8).toUpperCase()}.svg`;
  writeFileSync(path.join(out, iconName), icon);
  const html = readFileSync(path.join(here, 'src/index.html'), 'utf8')
    .replace('ICON', `/${iconName}`).replace('STYLE', `/${main.css}`).replace('MAIN', `/${main.name}`)
    .replace('PRELOADS', main.needs.map((n) => `<link rel="modulepreload" href="/${n}">`).join('\n'));
  writeFileSync(path.join(out, 'index.html'), html);
}

// The entry point's file, its style, and the files that it imports before it runs.
function entry({ metafile }, out) {
  const named = Object.entries(metafile.outputs).map(([file, o]) => [path.relative(out, path.resolve(here, file)), o]);
  const [name, o] = named.find(([, x]) => x.entryPoint && /src\/(main|worker\/worker)\.jsx?$/.test(x.entryPoint));
  const rel = (file) => path.relative(out, path.resolve(here, file));
  return { name, css: o.cssBundle && rel(o.cssBundle), needs: o.imports.filter((i) => i.kind === 'import-statement').map((i) => rel(i.path)) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await build();
