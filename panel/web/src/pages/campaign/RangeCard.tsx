/** Charts over any range: pick a figure, brush to zoom, compare with the period before. */

import { useMemo } from 'react';
import { useTimeseries } from '../../api/campaigns.ts';
import type { Campaign } from '../../api/types.ts';
import { useNow } from '../../app/clock.ts';
import { formatChange } from '../../lib/numbers.ts';
import { before, readRange, spanOf, stepFor, stepStarts, writeRange, type Range } from '../../lib/range.ts';
import { useParams } from '../../lib/url.ts';
import { Button } from '../../ui/Button.tsx';
import { Card } from '../../ui/Card.tsx';
import { Chart, type Series } from '../../ui/Chart.tsx';
import { cx } from '../../ui/cx.ts';
import { Checkbox } from '../../ui/Field.tsx';
import { RangePicker } from '../../ui/RangePicker.tsx';
import { Failed, Skeleton } from '../../ui/States.tsx';
import css from './Campaign.module.css';
import { METRICS, plot, sum, type Figures, type Metric } from './metrics.ts';

const DEFAULT = '24h';
const MINUTE_MS = 60_000;

export function RangeCard({ campaign }: { campaign: Campaign }) {
  const [params, change] = useParams();
  const clock = useNow(5000);
  const range = useMemo(() => readRange(params, DEFAULT), [params]);
  const span = spanOf(range, clock);
  const step = stepFor(span);
  const compare = params.get('compare') === '1';
  const metric = METRICS.find((m) => m.key === params.get('metric')) ?? (METRICS[0] as Metric);
  const now = useTimeseries(campaign.campaign_id, span, step);
  const earlier = useTimeseries(campaign.campaign_id, compare ? before(span) : null, step);
  const setRange = (picked: Range) => change(writeRange(picked, DEFAULT));

  const starts = useMemo(
    () => stepStarts({ start: span.start, end: span.end }, { name: step.name, ms: step.ms }),
    [span.start, span.end, step.name, step.ms],
  );
  const series = useMemo(() => {
    const drawn: Series[] = [
      { name: metric.name, color: metric.color, values: plot(metric, now.data ?? [], starts), fill: true },
    ];
    if (compare) {
      const length = span.end - span.start;
      const shifted = starts.map((s) => Math.floor((s - length) / step.ms) * step.ms);
      const values = plot(metric, earlier.data ?? [], shifted);
      drawn.push({ name: 'Period before', color: '--text-3', values, dashed: true });
    }
    return drawn;
  }, [metric, now.data, earlier.data, compare, starts, span.start, span.end, step.ms]);

  const total = useMemo(() => sum(now.data ?? []), [now.data]);
  const totalBefore = useMemo(
    () => (compare && earlier.data ? sum(earlier.data) : null),
    [compare, earlier.data],
  );

  return (
    <Card
      title="Delivered"
      note={`Every event that came in, by its own time, in steps of ${step.name}. Drag over the chart to zoom in.`}
      actions={
        <>
          <Checkbox
            label="Compare with the period before"
            checked={compare}
            onToggle={(on) => change({ compare: on ? '1' : null })}
          />
          {!('preset' in range) && (
            <Button small look="ghost" onClick={() => setRange({ preset: DEFAULT })}>
              Reset zoom
            </Button>
          )}
          <RangePicker range={range} span={span} onPick={setRange} />
        </>
      }
    >
      {now.isError && now.data === undefined ? (
        <Failed error={now.error} what="The time series" retry={() => void now.refetch()} />
      ) : now.data === undefined ? (
        <Skeleton what="the time series" lines={4} height={48} />
      ) : (
        <>
          <div className={css.metrics} role="group" aria-label="Figure shown in the chart">
            {METRICS.map((m) => (
              <MetricButton
                key={m.key}
                metric={m}
                total={total}
                earlier={totalBefore}
                currency={campaign.currency}
                current={m.key === metric.key}
                onPick={() => change({ metric: m.key === 'impressions' ? null : m.key })}
              />
            ))}
          </div>
          <Chart
            label={`${metric.name} of ${campaign.name}`}
            times={starts}
            series={series}
            format={(v) => metric.axis(v, campaign.currency)}
            height={260}
            onBrush={(start, end) => {
              const from = Math.floor(start / MINUTE_MS) * MINUTE_MS;
              setRange({ from, to: Math.max(Math.ceil(end / MINUTE_MS) * MINUTE_MS, from + 5 * MINUTE_MS) });
            }}
          />
        </>
      )}
    </Card>
  );
}

interface MetricButtonProps {
  metric: Metric;
  total: Figures;
  earlier: Figures | null;
  currency: string;
  current: boolean;
  onPick: () => void;
}

function MetricButton({ metric, total, earlier, currency, current, onPick }: MetricButtonProps) {
  const was = earlier === null ? null : metric.plot(earlier);
  const is = metric.plot(total);
  const change = was === null || is === null ? null : formatChange(is, was);
  return (
    <button
      type="button"
      className={cx(css.metric, current && css.current)}
      aria-pressed={current}
      title={metric.means}
      onClick={onPick}
    >
      <span className={css.metricName}>
        <span className={css.swatch} style={{ background: `var(${metric.color})` }} aria-hidden="true" />
        {metric.name}
      </span>
      <b>{metric.words(total, currency)}</b>
      {earlier !== null && (
        <span className={css.change}>
          {change} <span className={css.was}>before: {metric.words(earlier, currency)}</span>
        </span>
      )}
    </button>
  );
}
