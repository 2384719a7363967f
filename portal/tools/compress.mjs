// Compresses the built files beside themselves, tells their sizes, and fails when a page takes too much to become usable.
// Use: node tools/compress.mjs FOLDER

import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

/** What a page may take before it can be used, compressed; what the Worker takes comes after it. */
const PAGE_LIMIT = 250 * 1024;
/** What the WebAssembly may take, compressed. */
const WASM_LIMIT = 400 * 1024;
/** Smaller files fit in a packet or two anyway. */
const WORTH = 1024;
/** Endings of files that have forms. */
const KINDS = /\.(html|js|css|wasm|svg|txt|webmanifest)$/;

const dist = process.argv[2];
if (dist === undefined) throw new Error('use: compress.mjs FOLDER');

const sizes = new Map();
for (const name of filesBelow(dist)) {
  const plain = readFileSync(join(dist, name));
  sizes.set(name, { plain: plain.length, sent: plain.length });
  if (plain.length < WORTH || !KINDS.test(name)) continue;
  const brotli = brotliCompressSync(plain, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_LGWIN]: 22,
      [constants.BROTLI_PARAM_SIZE_HINT]: plain.length,
    },
  });
  const gzip = gzipSync(plain, { level: 9 });
  if (Math.max(brotli.length, gzip.length) >= plain.length) continue;
  writeFileSync(join(dist, `${name}.br`), brotli);
  writeFileSync(join(dist, `${name}.gz`), gzip);
  // Browsers take Brotli wherever these pages can work at all: by HTTPS and from this computer. That one counts.
  sizes.set(name, { plain: plain.length, sent: brotli.length, gzip: gzip.length });
}

let failed = false;
const manifest = JSON.parse(readFileSync(join(dist, '.vite/manifest.json'), 'utf8'));
for (const [source, chunk] of Object.entries(manifest)) {
  if (!source.endsWith('.html')) continue;
  const files = new Set([source]);
  gather(chunk, files);
  told(source, sum([...files], 'sent'), sum([...files], 'gzip'), PAGE_LIMIT);
}
for (const [name, size] of sizes) {
  if (name.endsWith('.wasm')) told(name, size.sent, size.gzip ?? size.sent, WASM_LIMIT);
}
if (failed) process.exit(1);

/** What a page loads before it does anything: itself, its script with all that this one imports, its styles. */
function gather(chunk, files) {
  if (files.has(chunk.file)) return;
  files.add(chunk.file);
  for (const style of chunk.css ?? []) files.add(style);
  for (const name of chunk.imports ?? []) gather(manifest[name], files);
}

function sum(names, which) {
  return names.reduce((total, name) => total + (sizes.get(name)?.[which] ?? sizes.get(name)?.sent ?? 0), 0);
}

function told(name, brotli, gzip, limit) {
  const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;
  console.log(`portal: ${name}: ${kib(brotli)} by Brotli, ${kib(gzip)} by gzip, of at most ${kib(limit)}`);
  if (brotli > limit) {
    console.error(`portal: ${name} is too large`);
    failed = true;
  }
}

function filesBelow(folder, prefix = '') {
  return readdirSync(join(folder, prefix)).flatMap((name) => {
    const path = prefix === '' ? name : `${prefix}/${name}`;
    if (name.startsWith('.')) return [];
    if (statSync(join(folder, path)).isDirectory()) return filesBelow(folder, path);
    return /\.(br|gz)$/.test(name) ? [] : [path];
  });
}
