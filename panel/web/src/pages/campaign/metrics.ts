/** The figures of a range: what each means, how it is computed, formatted and drawn. */

import type { Kpis, TimeseriesPoint } from '../../api/types.ts';
import { formatMoney, formatMoneyShort, perEvent, toPlot } from '../../lib/money.ts';
import { formatCount, formatRatio, formatShort, ratio } from '../../lib/numbers.ts';

export interface Figures {
  kpis: Kpis;
  cost: bigint;
}

export type MetricKey =
  'impressions' | 'visits' | 'clicks' | 'conversions' | 'cost' | 'ctr' | 'cvr' | 'ecpm' | 'ecpc';

export interface Metric {
  key: MetricKey;
  name: string;
  /** What it is, for its title. */
  means: string;
  color: string;
  words: (figures: Figures, currency: string) => string;
  /** For charts; null where nothing can be divided. */
  plot: (figures: Figures) => number | null;
  axis: (value: number, currency: string) => string;
}

const money = (value: number, currency: string) =>
  formatMoneyShort(BigInt(Math.round(value * 1e9)), currency);
const amount = (nanos: bigint | null, currency: string) =>
  nanos === null ? '–' : formatMoney(nanos, currency);
const plotted = (nanos: bigint | null) => (nanos === null ? null : toPlot(nanos));

function counted(key: keyof Kpis, name: string, color: string): Metric {
  return {
    key,
    name,
    means: `${name} that were delivered`,
    color,
    words: (f) => formatCount(f.kpis[key]),
    plot: (f) => f.kpis[key],
    axis: (v) => formatShort(v),
  };
}

export const METRICS: readonly Metric[] = [
  counted('impressions', 'Impressions', '--impression'),
  counted('visits', 'Visits', '--visit'),
  counted('clicks', 'Clicks', '--click'),
  counted('conversions', 'Conversions', '--conversion'),
  {
    key: 'cost',
    name: 'Cost',
    means: 'What the delivered events cost',
    color: '--accent',
    words: (f, currency) => formatMoney(f.cost, currency),
    plot: (f) => toPlot(f.cost),
    axis: money,
  },
  {
    key: 'ctr',
    name: 'CTR',
    means: 'Click-through rate: clicks per impression',
    color: '--click',
    words: (f) => formatRatio(ratio(f.kpis.clicks, f.kpis.impressions)),
    plot: (f) => ratio(f.kpis.clicks, f.kpis.impressions),
    axis: formatRatio,
  },
  {
    key: 'cvr',
    name: 'CVR',
    means: 'Conversion rate: conversions per click',
    color: '--conversion',
    words: (f) => formatRatio(ratio(f.kpis.conversions, f.kpis.clicks)),
    plot: (f) => ratio(f.kpis.conversions, f.kpis.clicks),
    axis: formatRatio,
  },
  {
    key: 'ecpm',
    name: 'eCPM',
    means: 'Effective cost per thousand impressions',
    color: '--impression',
    words: (f, currency) => amount(perEvent(f.cost, f.kpis.impressions, 1000n), currency),
    plot: (f) => plotted(perEvent(f.cost, f.kpis.impressions, 1000n)),
    axis: money,
  },
  {
    key: 'ecpc',
    name: 'eCPC',
    means: 'Effective cost per click',
    color: '--click',
    words: (f, currency) => amount(perEvent(f.cost, f.kpis.clicks), currency),
    plot: (f) => plotted(perEvent(f.cost, f.kpis.clicks)),
    axis: money,
  },
];

export const NOTHING: Figures = { kpis: { visits: 0, impressions: 0, clicks: 0, conversions: 0 }, cost: 0n };

function figures(point: TimeseriesPoint): Figures {
  return { kpis: point.kpis, cost: BigInt(point.cost_nanos) };
}

export function sum(points: readonly TimeseriesPoint[]): Figures {
  return points.map(figures).reduce(
    (a, b) => ({
      kpis: {
        visits: a.kpis.visits + b.kpis.visits,
        impressions: a.kpis.impressions + b.kpis.impressions,
        clicks: a.kpis.clicks + b.kpis.clicks,
        conversions: a.kpis.conversions + b.kpis.conversions,
      },
      cost: a.cost + b.cost,
    }),
    NOTHING,
  );
}

/** One value a start; steps that the API leaves out had no events. */
export function plot(
  metric: Metric,
  points: readonly TimeseriesPoint[],
  starts: readonly number[],
): (number | null)[] {
  const at = new Map(points.map((p) => [Date.parse(p.time), p]));
  return starts.map((start) => {
    const point = at.get(start);
    return metric.plot(point ? figures(point) : NOTHING);
  });
}
