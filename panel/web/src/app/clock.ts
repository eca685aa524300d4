/** The time now, for relative times and predictions; one timer for the whole page. */

import { useSyncExternalStore } from 'react';

const listeners = new Set<() => void>();
let now = Date.now();
let timer: number | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= window.setInterval(() => {
    now = Date.now();
    for (const each of listeners) each();
  }, 1000);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      window.clearInterval(timer);
      timer = undefined;
    }
  };
}

/** Milliseconds since 1970, moving every `every` ms. */
export function useNow(every = 1000): number {
  return useSyncExternalStore(subscribe, () => Math.floor(now / every) * every);
}
