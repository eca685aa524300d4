/**
 * The one place that talks HTTP: envelopes, problems (RFC 9457), the CSRF token, and whether the panel answers.
 */

import type { Page, ProblemBody } from './types.ts';

/** An error answer of the API, in its own words. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly field: string | undefined;
  /** Seconds after which the server wants to be asked again. */
  readonly retryAfter: number | undefined;

  constructor(status: number, code: string, detail: string, field?: string, retryAfter?: number) {
    super(detail);
    this.name = 'Problem';
    this.status = status;
    this.code = code;
    this.field = field;
    this.retryAfter = retryAfter;
  }
}

/** The panel did not answer at all. */
export class Unreachable extends Error {
  constructor() {
    super('The panel does not answer.');
    this.name = 'Unreachable';
  }
}

type Listener = () => void;

/** Whether the last request reached the panel; what the banner shows. */
class Connection {
  /** When the panel stopped answering; null while it answers. */
  lostSince: number | null = null;
  private readonly listeners = new Set<Listener>();

  subscribe = (listener: Listener): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  mark(reached: boolean): void {
    if (reached === (this.lostSince === null)) return;
    this.lostSince = reached ? null : Date.now();
    for (const listener of this.listeners) listener();
  }
}

export const connection = new Connection();

let csrf: string | null = null;
let onLoginRequired: Listener = () => undefined;

export function setCsrf(token: string | null): void {
  csrf = token;
}

/** Called when a request was refused because nobody is signed in any more. */
export function setOnLoginRequired(listener: Listener): void {
  onLoginRequired = listener;
}

export type Query = Record<string, string | number | null | undefined>;

export function query(params: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== '') search.set(name, String(value));
  }
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}

async function problemOf(response: Response): Promise<Problem> {
  const after = Number(response.headers.get('retry-after'));
  const retryAfter = Number.isFinite(after) && after > 0 ? after : undefined;
  if (response.headers.get('content-type')?.includes('problem+json')) {
    const body = (await response.json()) as ProblemBody;
    return new Problem(response.status, body.code, body.detail, body.field, retryAfter);
  }
  const words = response.statusText || 'error';
  return new Problem(
    response.status,
    'http_error',
    `The panel answered ${response.status} ${words}.`,
    undefined,
    retryAfter,
  );
}

async function request<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (method !== 'GET' && csrf !== null) headers['x-csrf-token'] = csrf;
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      credentials: 'same-origin',
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    connection.mark(false);
    throw new Unreachable();
  }
  connection.mark(true);
  if (!response.ok) {
    const problem = await problemOf(response);
    if (problem.code === 'login_required') onLoginRequired();
    throw problem;
  }
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

/** What an answer is about: the `result` of an envelope, or the body of the routes that answer without one. */
function result<T>(body: unknown): T {
  const enveloped = typeof body === 'object' && body !== null && 'result' in body && 'timestamp' in body;
  return (enveloped ? body.result : body) as T;
}

export const api = {
  /** The result alone. */
  get: async <T>(path: string, params: Query = {}, signal?: AbortSignal) =>
    result<T>(await request('GET', path + query(params), undefined, signal)),
  /** The result with its cursor and time. */
  page: <T>(path: string, params: Query = {}, signal?: AbortSignal) =>
    request<Page<T>>('GET', path + query(params), undefined, signal),
  post: async <T>(path: string, body: unknown = {}) => result<T>(await request('POST', path, body)),
  put: async <T>(path: string, body: unknown) => result<T>(await request('PUT', path, body)),
  delete: async <T>(path: string) => result<T>(await request('DELETE', path)),
};

/** The sentence to show for an error of any kind. */
export function errorWords(error: unknown): string {
  if (error instanceof Problem) {
    const again = error.retryAfter ? ` Try again in ${error.retryAfter} s.` : '';
    return error.message + again;
  }
  return error instanceof Error ? error.message : 'Something went wrong.';
}
