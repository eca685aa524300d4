import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';
import { mockApi } from './mock/plugin.ts';

const panel = process.env.PENSTOCK_PANEL ?? 'http://127.0.0.1:7080';
const mock = process.env.PENSTOCK_MOCK === '1';

/** Writes `.br` and `.gz` beside what compresses well: the panel sends them as they are. */
function packed(): Plugin {
  let folder = '';
  return {
    name: 'penstock-packed',
    apply: 'build',
    configResolved(config) {
      folder = join(config.root, config.build.outDir);
    },
    closeBundle() {
      for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
        if (!/\.(js|css|html|svg)$/.test(name)) continue;
        const path = join(folder, name);
        const bytes = readFileSync(path);
        writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
        const params = { [constants.BROTLI_PARAM_QUALITY]: 11 };
        writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params }));
      }
    },
  };
}

export default defineConfig({
  plugins: [react(), packed(), ...(mock ? [mockApi()] : [])],
  build: {
    target: 'es2023',
    // The panel's CSP allows no data: fonts and no data: scripts, so everything is a file of its own.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
  },
  server: {
    host: '127.0.0.1',
    // The panel accepts changes from its own origin only, so the proxy speaks in its name.
    proxy: Object.fromEntries(
      ['/api', '/graphql', '/metrics', '/healthz', '/readyz'].map((path) => [
        path,
        { target: panel, changeOrigin: true, ws: path === '/graphql', headers: { origin: panel } },
      ]),
    ),
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
