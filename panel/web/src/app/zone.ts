/** Whether times are shown in the viewer's zone or in UTC; kept between visits. */

import { useSyncExternalStore } from 'react';
import type { Zone } from '../lib/time.ts';

const KEY = 'penstock.zone';
const listeners = new Set<() => void>();
let zone: Zone = window.localStorage.getItem(KEY) === 'utc' ? 'utc' : 'local';

export function chooseZone(next: Zone): void {
  zone = next;
  window.localStorage.setItem(KEY, next);
  for (const listener of listeners) listener();
}

export function useZone(): Zone {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => zone,
  );
}
