/** Dimensions and measures by name, and how a cell is said. */

import type { Names } from '../../api/explore.ts';
import type { Cell, Column } from '../../api/types.ts';
import { formatMoney, formatMoneyShort, toPlot } from '../../lib/money.ts';
import { formatCount, formatRatio, formatShort } from '../../lib/numbers.ts';
import { typeWords } from '../../lib/words.ts';

export const DIMENSIONS = [
  { value: 'type', label: 'Event type' },
  { value: 'campaign_id', label: 'Campaign' },
  { value: 'advertiser_id', label: 'Advertiser' },
  { value: 'currency', label: 'Currency' },
  { value: 'tag', label: 'Tag' },
  { value: 'variation_id', label: 'Variation' },
  { value: 'site_id', label: 'Site' },
  { value: 'zone_id', label: 'Zone' },
  { value: 'country', label: 'Country' },
  { value: 'device', label: 'Device' },
  { value: 'os', label: 'Operating system' },
  { value: 'server', label: 'Ad server' },
  { value: 'goal', label: 'Goal' },
  { value: 'user_id', label: 'User' },
  { value: 'hour', label: 'Hour' },
  { value: 'day', label: 'Day' },
] as const;

/** Parts of time cannot be filtered by: the range does that. */
export const FILTERABLE = DIMENSIONS.filter((d) => d.value !== 'hour' && d.value !== 'day');

export const MEASURES = [
  { value: 'events', label: 'Events' },
  { value: 'impressions', label: 'Impressions' },
  { value: 'visits', label: 'Visits' },
  { value: 'clicks', label: 'Clicks' },
  { value: 'conversions', label: 'Conversions' },
  { value: 'cost_nanos', label: 'Cost' },
  { value: 'users', label: 'Unique users' },
  { value: 'ctr', label: 'CTR' },
  { value: 'cvr', label: 'CVR' },
  { value: 'ecpm_nanos', label: 'eCPM' },
  { value: 'ecpc_nanos', label: 'eCPC' },
  { value: 'value_micros', label: 'Conversion value' },
] as const;

const NAMES = new Map<string, string>([...DIMENSIONS, ...MEASURES].map((d) => [d.value, d.label]));

export function columnWords(name: string): string {
  return name === 'time' ? 'Time' : (NAMES.get(name) ?? name);
}

/** A dimension's value; the empty one has a name too. */
export function valueWords(dimension: string, value: Cell, names: Names): string {
  const text = String(value ?? '');
  if (dimension === 'campaign_id' || dimension === 'advertiser_id') {
    if (text === '0') return 'Not attributed';
    const name = names[dimension].get(text);
    return name ? `${name} (${text})` : text;
  }
  if (text === '') return dimension === 'currency' ? 'Not attributed' : 'Not given';
  return dimension === 'type' ? typeWords(text) : text;
}

function amount(column: Column, value: Cell): bigint {
  return BigInt(String(value)) * (column.unit === 'micros' ? 1000n : 1n);
}

/** A measure's value in full. */
export function measureWords(column: Column, value: Cell, currency: string | undefined): string {
  if (value === null) return '–';
  if (column.unit === 'nanos' || column.unit === 'micros')
    return formatMoney(amount(column, value), currency);
  return column.unit === 'ratio' ? formatRatio(Number(value)) : formatCount(Number(value));
}

/** A measure's value for drawing. */
export function plotted(column: Column, value: Cell): number | null {
  if (value === null) return null;
  if (column.unit === 'nanos' || column.unit === 'micros') return toPlot(amount(column, value));
  return Number(value);
}

/** A drawn value on an axis. */
export function axisWords(column: Column, value: number, currency: string | undefined): string {
  if (column.unit === 'nanos' || column.unit === 'micros') {
    return formatMoneyShort(BigInt(Math.round(value * 1e9)), currency);
  }
  return column.unit === 'ratio' ? formatRatio(value) : formatShort(value);
}

export const SERIES_COLORS = [
  '--impression',
  '--click',
  '--visit',
  '--conversion',
  '--series-5',
  '--series-6',
  '--series-8',
  '--series-7',
] as const;
