// Two pages from one set of components. What comes out keeps the policy it is served under: no code and no style inside a page,
// every address relative, nothing from elsewhere.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vite';

const here = import.meta.dirname;
const pages = { portal: 'src/portal/main.ts', panel: 'src/panel/main.ts' };
const there = Object.entries(pages).filter(([, entry]) => existsSync(join(here, entry)));

export default defineConfig({
  root: here,
  base: './',
  publicDir: false,
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: 'es2022',
    manifest: true,
    // A file inside another could not be told from code inside a page.
    assetsInlineLimit: 0,
    // Every browser that has WebAssembly and shared memory knows it.
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      input: Object.fromEntries(there.map(([name]) => [name, join(here, `${name}.html`)])),
    },
  },
  worker: { format: 'es' },
});
