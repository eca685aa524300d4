import { expect, it } from 'vitest';
import type { TimeseriesPoint } from '../../api/types.ts';
import { METRICS, plot, sum, type MetricKey } from './metrics.ts';

const point = (minute: number, impressions: number, clicks: number, cost: string): TimeseriesPoint => ({
  time: new Date(minute * 60_000).toISOString(),
  kpis: { visits: 0, impressions, clicks, conversions: 0 },
  cost_nanos: cost,
});
const metric = (key: MetricKey) => {
  const found = METRICS.find((m) => m.key === key);
  if (!found) throw new Error(key);
  return found;
};
const points = [point(0, 1000, 10, '1500000000'), point(2, 3000, 0, '4500000001')];

it('rates come from the sums of a range, not from the mean of its steps', () => {
  const total = sum(points);
  expect(metric('ctr').words(total, 'USD')).toBe('0.25%');
  expect(metric('ecpm').words(total, 'USD')).toBe('$1.50');
  expect(metric('ecpc').words(total, 'USD')).toBe('$0.60');
  expect(metric('cost').words(total, 'USD')).toBe('$6.00');
  expect(total.cost).toBe(6_000_000_001n);
});

it('a step without events counts nothing, and has no rate', () => {
  const starts = [0, 60_000, 120_000];
  expect(plot(metric('impressions'), points, starts)).toEqual([1000, 0, 3000]);
  expect(plot(metric('ctr'), points, starts)).toEqual([0.01, null, 0]);
  expect(metric('cvr').words(sum([]), 'USD')).toBe('–');
});
