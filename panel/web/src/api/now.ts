/** How the pipeline stands this second. */

import { useQuery } from '@tanstack/react-query';
import { api } from './client.ts';
import { useLiveState } from './live.ts';
import type { Now } from './types.ts';

export const NOW_KEY = ['now'];
const POLL_MS = 1000;
/** While the socket feeds the page, the question is asked now and then only, for what it does not carry. */
const POLL_LIVE_MS = 15_000;

export function useNowData() {
  const live = useLiveState() === 'live';
  return useQuery({
    queryKey: NOW_KEY,
    queryFn: ({ signal }) => api.get<Now>('/api/v1/now', {}, signal),
    refetchInterval: live ? POLL_LIVE_MS : POLL_MS,
    retry: false,
  });
}
