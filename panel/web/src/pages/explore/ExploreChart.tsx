/** The answer as a picture: lines over time for the largest groups, or bars. */

import { useMemo } from 'react';
import type { CurrencyOf, Names } from '../../api/explore.ts';
import type { Cell, Column, Explored } from '../../api/types.ts';
import { Bars } from '../../ui/Bars.tsx';
import { Chart, type Series } from '../../ui/Chart.tsx';
import css from './Explore.module.css';
import { axisWords, columnWords, measureWords, plotted, SERIES_COLORS, valueWords } from './vocabulary.ts';

const MOST_LINES = 8;
const MOST_BARS = 12;

interface ExploreChartProps {
  explored: Explored;
  measure: string;
  names: Names;
  currency: string | undefined;
  currencyOf: CurrencyOf;
  onBrush: (start: number, end: number) => void;
}

export function ExploreChart({ explored, measure, names, currency, currencyOf, onBrush }: ExploreChartProps) {
  const at = explored.columns.findIndex((c) => c.name === measure);
  const column = explored.columns[at];
  if (!column) return null;
  return explored.columns.some((c) => c.kind === 'time') ? (
    <Lines explored={explored} column={column} at={at} names={names} currency={currency} onBrush={onBrush} />
  ) : (
    <Ranking explored={explored} column={column} at={at} names={names} currencyOf={currencyOf} />
  );
}

interface PartProps {
  explored: Explored;
  column: Column;
  at: number;
  names: Names;
  currency: string | undefined;
}

function groupWords(columns: readonly Column[], row: readonly Cell[], names: Names): string {
  const words = columns.flatMap((c, i) =>
    c.kind === 'dimension' ? [valueWords(c.name, row[i] ?? null, names)] : [],
  );
  return words.join(' · ');
}

function Ranking({
  explored,
  column,
  at,
  names,
  currencyOf,
}: Omit<PartProps, 'currency'> & { currencyOf: CurrencyOf }) {
  const rows = explored.rows.slice(0, MOST_BARS).map((row, i) => {
    const name = groupWords(explored.columns, row, names) || 'All events';
    const value = row[at] ?? null;
    return {
      key: `${name}/${i}`,
      name,
      value: plotted(column, value) ?? 0,
      words: measureWords(column, value, currencyOf(explored.columns, row)),
    };
  });
  return (
    <>
      <Bars rows={rows} label={`${columnWords(column.name)} of the first ${rows.length} rows`} />
      {explored.rows.length > MOST_BARS && (
        <p className={css.quiet}>The first {MOST_BARS} rows; all of them are in the table.</p>
      )}
    </>
  );
}

function Lines({
  explored,
  column,
  at,
  names,
  currency,
  onBrush,
}: PartProps & { onBrush: ExploreChartProps['onBrush'] }) {
  const { times, series, left } = useMemo(() => {
    const timeAt = explored.columns.findIndex((c) => c.kind === 'time');
    const groups = new Map<string, { sum: number; values: Map<number, number | null> }>();
    const moments = new Set<number>();
    for (const row of explored.rows) {
      const time = Date.parse(String(row[timeAt]));
      const name = groupWords(explored.columns, row, names) || columnWords(column.name);
      const value = plotted(column, row[at] ?? null);
      const group = groups.get(name) ?? { sum: 0, values: new Map() };
      group.sum += value ?? 0;
      group.values.set(time, value);
      groups.set(name, group);
      moments.add(time);
    }
    const sortedTimes = [...moments].sort((a, b) => a - b);
    const largest = [...groups].sort((a, b) => b[1].sum - a[1].sum).slice(0, MOST_LINES);
    const none = column.unit === 'ratio' ? null : 0;
    const drawn: Series[] = largest.map(([name, group], i) => ({
      name,
      color: SERIES_COLORS[i] ?? '--text-3',
      values: sortedTimes.map((t) => (group.values.has(t) ? (group.values.get(t) ?? null) : none)),
      fill: largest.length === 1,
    }));
    return { times: sortedTimes, series: drawn, left: groups.size - largest.length };
  }, [explored, column, at, names]);
  return (
    <>
      <Chart
        label={`${columnWords(column.name)} over time`}
        times={times}
        series={series}
        format={(v) => axisWords(column, v, currency)}
        height={300}
        onBrush={onBrush}
      />
      {left > 0 && (
        <p className={css.quiet}>
          The {MOST_LINES} largest groups; {left} more are in the table.
        </p>
      )}
    </>
  );
}
