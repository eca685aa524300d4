import { expect, it } from 'vitest';
import { advanced } from './now.ts';
import type { Now } from './types.ts';

const rates = { impression: 1, visit: 2, click: 3, conversion: 4 };
const now: Now = {
  time: '2026-01-01T00:00:00Z',
  rates,
  rejected_per_second: 0,
  ack_ms: null,
  history: [{ time: '2026-01-01T00:00:00Z', ...rates }],
  spool: null,
  sinks: [],
  stops: [],
  roles: [],
  dead_total: 0,
  stop_latency_ms: null,
};
const told = (time: string) => ({
  time,
  rates,
  rejectedPerSecond: 7,
  ackMs: { p50: 1, p99: 2 },
  stopLatencyMs: null,
  deadTotal: 9,
  spool: null,
  sinks: [],
  stops: [],
  roles: [],
});

it('each second told is one more point, and none twice', () => {
  const next = advanced(now, told('2026-01-01T00:00:01Z'));
  expect(next.history.map((p) => p.time)).toEqual(['2026-01-01T00:00:00Z', '2026-01-01T00:00:01Z']);
  expect(next).toMatchObject({ rejected_per_second: 7, dead_total: 9, ack_ms: { p99: 2 } });
  expect(advanced(next, told('2026-01-01T00:00:01Z')).history).toHaveLength(2);
});

it('the history keeps five minutes', () => {
  let state = now;
  for (let s = 1; s <= 400; s += 1)
    state = advanced(state, told(new Date(Date.UTC(2026, 0, 1) + s * 1000).toISOString()));
  expect(state.history).toHaveLength(300);
});
