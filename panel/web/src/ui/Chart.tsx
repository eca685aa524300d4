/**
 * A chart over time: lines or bars, a legend that switches series, values under the pointer, brush to zoom, and
 * the same figures as a table for whoever does not read charts.
 */

import { useEffect, useMemo, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useTheme } from '../app/theme.ts';
import { useZone } from '../app/zone.ts';
import { formatTime, utcTitle, type TimeStyle } from '../lib/time.ts';
import { chartOptions, type Series } from './chartOptions.ts';
import css from './Chart.module.css';
import { ChartTable } from './ChartTable.tsx';
import { cx } from './cx.ts';

export type { Series } from './chartOptions.ts';

interface ChartProps {
  /** What the chart shows; its name for screen readers. */
  label: string;
  /** Milliseconds since 1970, ascending. */
  times: readonly number[];
  series: readonly Series[];
  format: (value: number) => string;
  height?: number;
  scale?: 'linear' | 'asinh';
  timeStyle?: TimeStyle;
  bars?: boolean;
  onBrush?: (startMs: number, endMs: number) => void;
}

export function Chart({
  label,
  times,
  series,
  format,
  height = 240,
  scale = 'linear',
  timeStyle = 'minute',
  bars = false,
  onBrush,
}: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const theme = useTheme();
  const zone = useZone();
  const [hidden, setHidden] = useState<readonly string[]>([]);
  const [cursor, setCursor] = useState<{ index: number; left: number } | null>(null);
  const [asTable, setAsTable] = useState(false);
  const handlers = useRef({ onBrush, format });
  useEffect(() => {
    handlers.current = { onBrush, format };
  });

  const data = useMemo<uPlot.AlignedData>(
    () => [times.map((t) => t / 1000), ...series.map((s) => [...s.values])],
    [times, series],
  );
  const current = useRef(data);
  useEffect(() => {
    current.current = data;
  });
  const shape = JSON.stringify(series.map((s) => [s.name, s.color, s.dashed, s.fill]));
  const canBrush = onBrush !== undefined;

  // A new plot when what it looks like changes; new data goes into the plot that is there.
  useEffect(() => {
    const element = box.current;
    if (!element || asTable) return undefined;
    const drawn = (JSON.parse(shape) as [string, string, boolean?, boolean?][]).map(
      ([name, color, dashed, fill]): Series => ({ name, color, dashed, fill, values: [] }),
    );
    const options = chartOptions(drawn, element.clientWidth, height, {
      zone,
      format: (v) => handlers.current.format(v),
      scale,
      brush: canBrush ? (start, end) => handlers.current.onBrush?.(start, end) : undefined,
      onCursor: (index, left) => setCursor(index === null ? null : { index, left }),
      bars,
    });
    const made = new uPlot(options, current.current, element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, height, scale, bars, zone, theme, canBrush, asTable]);

  useEffect(() => {
    plot.current?.setData(data);
  }, [data]);

  useEffect(() => {
    series.forEach((s, i) => {
      if (plot.current && plot.current.series[i + 1]?.show === hidden.includes(s.name)) {
        plot.current.setSeries(i + 1, { show: !hidden.includes(s.name) });
      }
    });
  }, [series, hidden, shape, asTable]);

  const toggle = (name: string) =>
    setHidden((all) => (all.includes(name) ? all.filter((n) => n !== name) : [...all, name]));
  const at = cursor === null ? undefined : times[cursor.index];

  return (
    <figure className={css.figure} aria-label={label} role="group">
      <div className={css.legend}>
        {series.length > 1 &&
          series.map((s) => (
            <button
              key={s.name}
              type="button"
              className={cx(css.entry, hidden.includes(s.name) && css.off)}
              aria-pressed={!hidden.includes(s.name)}
              onClick={() => toggle(s.name)}
            >
              <span
                className={cx(css.swatch, s.dashed && css.dashed)}
                style={{ color: `var(${s.color})` }}
                aria-hidden="true"
              />
              {s.name}
            </button>
          ))}
        <button
          type="button"
          className={css.asTable}
          aria-pressed={asTable}
          onClick={() => setAsTable(!asTable)}
        >
          {asTable ? 'Show as chart' : 'Show as table'}
        </button>
      </div>
      {asTable ? (
        <ChartTable label={label} times={times} series={series} format={format} timeStyle={timeStyle} />
      ) : (
        <div className={css.plot}>
          <div ref={box} role="img" aria-label={`${label}: ${summary(series, format)}`} className={css.box} />
          {cursor !== null && at !== undefined && (
            <div
              className={css.tip}
              style={
                cursor.left > 240
                  ? { right: `calc(100% - ${cursor.left - 12}px)` }
                  : { left: cursor.left + 12 }
              }
              aria-hidden="true"
            >
              <p title={utcTitle(at)}>{formatTime(at, zone, timeStyle)}</p>
              <ul>
                {series
                  .filter((s) => !hidden.includes(s.name))
                  .map((s) => {
                    const value = s.values[cursor.index];
                    return (
                      <li key={s.name}>
                        <span className={css.swatch} style={{ color: `var(${s.color})` }} />
                        <span>{s.name}</span>
                        <b>{value === null || value === undefined ? '–' : format(value)}</b>
                      </li>
                    );
                  })}
              </ul>
            </div>
          )}
        </div>
      )}
    </figure>
  );
}

function summary(series: readonly Series[], format: (v: number) => string): string {
  return series
    .map((s) => {
      const values = s.values.filter((v): v is number => v !== null);
      if (values.length === 0) return `${s.name} no values`;
      return `${s.name} between ${format(Math.min(...values))} and ${format(Math.max(...values))}`;
    })
    .join('; ');
}
