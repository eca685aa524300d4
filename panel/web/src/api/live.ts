/**
 * Subscriptions over one WebSocket (graphql-transport-ws). Pages poll while it is not connected, so a proxy that
 * does not pass WebSockets costs freshness, not function.
 */

import { createClient, type Client } from 'graphql-ws';
import { useEffect, useRef, useState, useSyncExternalStore } from 'react';

export type LiveState = 'idle' | 'connecting' | 'live' | 'lost';

let state: LiveState = 'idle';
const listeners = new Set<() => void>();

function become(next: LiveState): void {
  if (state === next) return;
  state = next;
  for (const listener of listeners) listener();
}

const LONGEST_WAIT_MS = 10_000;

let client: Client | null = null;

function socket(): Client {
  client ??= createClient({
    url: `${window.location.protocol === 'https:' ? 'wss' : 'ws'}://${window.location.host}/graphql`,
    keepAlive: 10_000,
    // Going from page to page keeps the connection.
    lazyCloseTimeout: 3_000,
    retryAttempts: Infinity,
    shouldRetry: () => true,
    retryWait: async (retries) => {
      const wait = Math.min(LONGEST_WAIT_MS, 500 * 2 ** Math.min(retries, 6));
      await new Promise((resolve) => setTimeout(resolve, wait));
    },
    on: {
      connecting: () => become(state === 'lost' ? 'lost' : 'connecting'),
      connected: () => become('live'),
      closed: (event) => become((event as CloseEvent | undefined)?.wasClean ? 'idle' : 'lost'),
    },
  });
  return client;
}

/** Ends the connection, so that the next one carries the rights of who is signed in now. */
export function resetLive(): void {
  void client?.dispose();
  client = null;
  become('idle');
}

export function useLiveState(): LiveState {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => state,
  );
}

/**
 * Takes in what the subscription sends for as long as the component shows. `variables` are compared by value;
 * null switches it off. Answers whether it flows: connected and not refused; else the page has to poll.
 */
export function useSubscription<T>(
  document: string,
  variables: Record<string, unknown> | null,
  onData: (data: T) => void,
): boolean {
  const take = useRef(onData);
  useEffect(() => {
    take.current = onData;
  });
  const connected = useLiveState() === 'live';
  const key = variables === null ? null : JSON.stringify(variables);
  const [refused, setRefused] = useState<string | null>(null);
  useEffect(() => {
    if (key === null) return undefined;
    return socket().subscribe<T>(
      { query: document, variables: JSON.parse(key) as Record<string, unknown> },
      {
        next: (message) => {
          if (message.errors) setRefused(key);
          if (message.data) take.current(message.data);
        },
        error: () => setRefused(key),
        complete: () => undefined,
      },
    );
  }, [document, key]);
  return connected && key !== null && refused !== key;
}
