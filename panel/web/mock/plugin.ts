/**
 * Plays routes of the API that the running panel does not have yet; everything else goes to the panel itself.
 * For development only (`npm run mock`), never part of the build.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Plugin } from 'vite';
import { routes } from './routes.ts';

function readBody(request: IncomingMessage): Promise<unknown> {
  return new Promise((resolve) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      try {
        resolve(text === '' ? {} : JSON.parse(text));
      } catch {
        resolve({});
      }
    });
  });
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.statusCode = status;
  response.setHeader('content-type', status < 400 ? 'application/json' : 'application/problem+json');
  response.end(JSON.stringify(body));
}

export function mockApi(): Plugin {
  return {
    name: 'penstock-mock',
    configureServer(server) {
      server.middlewares.use(async (request, response, next) => {
        const url = new URL(request.url ?? '/', 'http://mock');
        for (const route of routes) {
          const found = route.path.exec(url.pathname);
          if (!found || route.method !== request.method) continue;
          const result = route.answer({ url, match: found, body: await readBody(request) });
          answer(response, 200, {
            status: 'ok',
            timestamp: new Date().toISOString(),
            next_cursor: null,
            result,
          });
          return;
        }
        next();
      });
    },
  };
}
