// The journeys as one program for Node. It lies among the packages, so that it finds those it uses.
import { defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  build: {
    ssr: 'run.ts',
    outDir: '../node_modules/.journeys',
    emptyOutDir: true,
    target: 'node20',
    sourcemap: true,
  },
});
