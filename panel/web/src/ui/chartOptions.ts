/** How a time chart is drawn: uPlot's options from the page's colours, zone and units. */

import uPlot from 'uplot';
import type { Zone } from '../lib/time.ts';

export interface Series {
  name: string;
  /** A token, e.g. `--click`. */
  color: string;
  values: readonly (number | null)[];
  dashed?: boolean;
  fill?: boolean;
}

export interface Look {
  zone: Zone;
  /** Words for a value on the axis and in the tooltip. */
  format: (value: number) => string;
  /** `asinh` keeps rare types readable beside frequent ones. */
  scale: 'linear' | 'asinh';
  brush: ((startMs: number, endMs: number) => void) | undefined;
  onCursor: (index: number | null, left: number) => void;
  bars: boolean;
}

const DAY = 86_400;

function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function tickWords(
  zone: Zone,
): (u: uPlot, splits: number[], axis: number, space: number, incr: number) => string[] {
  const part = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat('en-GB', {
      ...options,
      hourCycle: 'h23',
      timeZone: zone === 'utc' ? 'UTC' : undefined,
    });
  const day = part({ day: 'numeric', month: 'short' });
  const minute = part({ hour: '2-digit', minute: '2-digit' });
  const second = part({ hour: '2-digit', minute: '2-digit', second: '2-digit' });
  return (_u, splits, _axis, _space, incr) => {
    let last = '';
    return splits.map((split) => {
      const date = new Date(split * 1000);
      const today = day.format(date);
      if (incr >= DAY) return today;
      const clock = (incr >= 60 ? minute : second).format(date);
      const words = last !== '' && today !== last ? `${clock}\n${today}` : clock;
      last = today;
      return words;
    });
  };
}

export function chartOptions(
  series: readonly Series[],
  width: number,
  height: number,
  look: Look,
): uPlot.Options {
  const grid = { stroke: token('--line'), width: 1 };
  const font = `11px ${token('--font')}`;
  const text = token('--text-3');
  const bars = look.bars ? uPlot.paths.bars?.({ size: [0.7, 40], radius: 0.2 }) : undefined;
  return {
    width,
    height,
    legend: { show: false },
    padding: [10, 18, 0, 0],
    tzDate:
      look.zone === 'utc'
        ? (ts) => uPlot.tzDate(new Date(ts * 1000), 'Etc/UTC')
        : (ts) => new Date(ts * 1000),
    cursor: {
      y: false,
      points: { size: 7, width: 2 },
      drag: { x: look.brush !== undefined, y: false, setScale: false },
    },
    scales: {
      x: { time: true },
      y: {
        distr: look.scale === 'asinh' ? 4 : 1,
        asinh: 1,
        range: (_u, _min, max) =>
          look.scale === 'asinh' ? [0, Math.max(max * 1.6, 1)] : [0, max > 0 ? max * 1.08 : 1],
      },
    },
    axes: [
      {
        stroke: text,
        font,
        grid: { show: false },
        ticks: { stroke: token('--line-strong'), width: 1, size: 4 },
        gap: 4,
        size: 38,
        space: 70,
        values: tickWords(look.zone),
      },
      {
        stroke: text,
        font,
        grid,
        ticks: { show: false },
        border: { show: false },
        size: (_u, values) => 14 + 6.6 * Math.max(2, ...(values ?? []).map((v) => String(v ?? '').length)),
        space: 34,
        values: (_u, splits) => splits.map((v) => look.format(v)),
        ...(look.scale === 'asinh'
          ? { splits: (_u: uPlot, _axis: number, _min: number, max: number) => decades(max) }
          : {}),
      },
    ],
    series: [
      {},
      ...series.map((s): uPlot.Series => {
        const color = token(s.color);
        return {
          label: s.name,
          stroke: color,
          width: s.dashed ? 1.25 : 1.75,
          ...(s.dashed ? { dash: [4, 4] } : {}),
          ...(s.fill || bars ? { fill: `${color}${bars ? 'cc' : '22'}` } : {}),
          ...(bars ? { paths: bars } : {}),
          points: { show: false },
          spanGaps: false,
        };
      }),
    ],
    hooks: {
      setCursor: [
        (u) => {
          const index = u.cursor.idx ?? null;
          look.onCursor(index, index === null ? 0 : (u.cursor.left ?? 0) + u.bbox.left / devicePixelRatio);
        },
      ],
      setSelect: [
        (u) => {
          const { left, width: wide } = u.select;
          if (wide < 4) return;
          const start = u.posToVal(left, 'x') * 1000;
          const end = u.posToVal(left + wide, 'x') * 1000;
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          look.brush?.(start, end);
        },
      ],
    },
  };
}

/** On the asinh scale only 0 and the powers of ten have a line. */
function decades(max: number): number[] {
  const found = [0];
  for (let value = 1; value <= max; value *= 10) found.push(value);
  return found;
}
