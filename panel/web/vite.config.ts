import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';
import { mockApi } from './mock/plugin.ts';

const panel = process.env.PENSTOCK_PANEL ?? 'http://127.0.0.1:7080';
const mock = process.env.PENSTOCK_MOCK === '1';

export default defineConfig({
  plugins: [react(), ...(mock ? [mockApi()] : [])],
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
