/** How the pipeline stands this second. */

import { useQuery, useQueryClient } from '@tanstack/react-query';
import { api } from './client.ts';
import { useSubscription } from './live.ts';
import type { Now, Quantiles, Rates } from './types.ts';

export const NOW_KEY = ['now'];
const POLL_MS = 1000;
/** While the socket feeds the page, the question is asked now and then only, for what it does not carry. */
const POLL_LIVE_MS = 30_000;
const HISTORY = 300;

const THROUGHPUT = `subscription Throughput {
  throughput {
    time rates { impression visit click conversion } rejectedPerSecond
    ackMs { p50 p99 } stopLatencyMs { p50 p99 } deadTotal spool sinks stops roles
  }
}`;

interface Throughput {
  throughput: {
    time: string;
    rates: Rates;
    rejectedPerSecond: number;
    ackMs: Quantiles | null;
    stopLatencyMs: Quantiles | null;
    deadTotal: number;
    spool: Now['spool'];
    sinks: Now['sinks'];
    stops: Now['stops'];
    roles: Now['roles'];
  };
}

/** The figures with one more second at the end of their history. */
export function advanced(now: Now, told: Throughput['throughput']): Now {
  const { time, rates, spool, sinks, stops, roles } = told;
  const known = now.history.at(-1)?.time ?? '';
  const history = time > known ? [...now.history, { time, ...rates }].slice(-HISTORY) : now.history;
  return {
    time,
    rates,
    spool,
    sinks,
    stops,
    roles,
    history,
    rejected_per_second: told.rejectedPerSecond,
    ack_ms: told.ackMs,
    stop_latency_ms: told.stopLatencyMs,
    dead_total: told.deadTotal,
  };
}

export function useNowData() {
  const client = useQueryClient();
  const flows = useSubscription<Throughput>(THROUGHPUT, {}, ({ throughput }) => {
    client.setQueryData<Now>(NOW_KEY, (now) => now && advanced(now, throughput));
  });
  return useQuery({
    queryKey: NOW_KEY,
    queryFn: ({ signal }) => api.get<Now>('/api/v1/now', {}, signal),
    refetchInterval: flows ? POLL_LIVE_MS : POLL_MS,
    retry: false,
  });
}
