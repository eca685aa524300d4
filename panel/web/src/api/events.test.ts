import { expect, it } from 'vitest';
import { joined } from './events.ts';
import type { Event } from './types.ts';

const event = (offset: number, second: number): Event => ({
  id: String(offset),
  type: 'click',
  time: new Date(second * 1000).toISOString(),
  received: new Date(second * 1000).toISOString(),
  server: 's',
  campaign_id: 1,
  cost_nanos: '0',
  payload: {},
  log: 'l',
  partition: 0,
  offset,
});

it('the tail shows each event once, the newest first, and stays short', () => {
  const old = [event(2, 20), event(1, 10)];
  expect(joined(old, [event(3, 30), event(2, 20)]).map((e) => e.offset)).toEqual([3, 2, 1]);
  const many = Array.from({ length: 200 }, (_, i) => event(i + 10, i + 100));
  expect(joined(old, many)).toHaveLength(50);
  expect(joined(old, many)[0]?.offset).toBe(209);
});
