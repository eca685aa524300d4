/** A chart's figures as a table, newest first. */

import { useZone } from '../app/zone.ts';
import { formatTime, utcTitle, type TimeStyle } from '../lib/time.ts';
import css from './Chart.module.css';
import type { Series } from './chartOptions.ts';

interface ChartTableProps {
  label: string;
  times: readonly number[];
  series: readonly Series[];
  format: (value: number) => string;
  timeStyle: TimeStyle;
}

export function ChartTable({ label, times, series, format, timeStyle }: ChartTableProps) {
  const zone = useZone();
  const order = times.map((_, i) => times.length - 1 - i);
  return (
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className={css.tableBox} role="region" aria-label={`${label}, as a table`} tabIndex={0}>
      <table className={css.table}>
        <thead>
          <tr>
            <th scope="col">Time</th>
            {series.map((s) => (
              <th scope="col" key={s.name}>
                {s.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {order.map((i) => {
            const time = times[i] ?? 0;
            return (
              <tr key={time}>
                <th scope="row" title={utcTitle(time)}>
                  {formatTime(time, zone, timeStyle)}
                </th>
                {series.map((s) => {
                  const value = s.values[i];
                  return <td key={s.name}>{value === null || value === undefined ? '–' : format(value)}</td>;
                })}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
