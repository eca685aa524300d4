/** What is asked for, as it stands in the address. */

import { useMemo } from 'react';
import type { Filter } from '../../api/types.ts';
import { useNow } from '../../app/clock.ts';
import { iso, readRange, spanOf, writeRange, type Preset, type Range, type Span } from '../../lib/range.ts';
import { list, useParams, type Patch } from '../../lib/url.ts';
import { DIMENSIONS, MEASURES } from './vocabulary.ts';

export const MOST_GROUPS = 3;
export const DEFAULT_RANGE: Preset = '24h';
const DEFAULT_MEASURES = ['impressions', 'clicks', 'ctr', 'conversions', 'cost_nanos'];

export interface ExploreState {
  groups: string[];
  measures: string[];
  filters: Filter[];
  step: string;
  order: string;
  limit: number;
}

const known = (words: readonly { value: string }[]) => (name: string) => words.some((w) => w.value === name);

/** Filters from a link; what is no filter is left out rather than breaking the page. */
export function readFilters(text: string | null): Filter[] {
  if (!text) return [];
  try {
    const given: unknown = JSON.parse(text);
    if (!Array.isArray(given)) return [];
    return given.filter(
      (f: Partial<Filter>): f is Filter =>
        typeof f.dim === 'string' &&
        (f.op === 'in' || f.op === 'not_in' || f.op === 'starts_with') &&
        Array.isArray(f.values) &&
        f.values.length > 0 &&
        f.values.every((v) => typeof v === 'string'),
    );
  } catch {
    return [];
  }
}

export function writeFilters(filters: readonly Filter[]): string | null {
  return filters.length === 0 ? null : JSON.stringify(filters);
}

export function readState(params: URLSearchParams): ExploreState {
  const given = params.get('group_by');
  const groups = given === null ? ['country'] : list(given).filter(known(DIMENSIONS)).slice(0, MOST_GROUPS);
  const asked = list(params.get('measures')).filter(known(MEASURES));
  const measures = asked.length > 0 ? asked : DEFAULT_MEASURES;
  const order = params.get('order') ?? '';
  const orderKey = order.replace(/^-/, '');
  const ordered = [...groups, ...measures].includes(orderKey) ? order : `-${measures[0] ?? 'events'}`;
  const limit = Number(params.get('limit') ?? 100);
  return {
    groups,
    measures,
    filters: readFilters(params.get('filter')),
    step: params.get('step') ?? '',
    order: ordered,
    limit: [25, 100, 500, 1000].includes(limit) ? limit : 100,
  };
}

/** The API's parameters for the table; the same make the export. */
export function questionOf(state: ExploreState, span: Span): Record<string, string | number | null> {
  return {
    start_time: iso(span.start),
    end_time: iso(span.end),
    group_by: state.groups.join(','),
    measures: state.measures.join(','),
    filter: writeFilters(state.filters),
    step: state.step,
    order_by: state.step === '' ? state.order : null,
  };
}

export interface View {
  params: URLSearchParams;
  change: (patch: Patch, options?: { replace?: boolean }) => void;
  range: Range;
  span: Span;
  setRange: (range: Range) => void;
  filters: Filter[];
  setFilters: (filters: readonly Filter[]) => void;
}

/** Range and filters, which all views of the page share. */
export function useView(): View {
  const [params, change] = useParams();
  const clock = useNow(60_000);
  return useMemo(() => {
    const range = readRange(params, DEFAULT_RANGE);
    return {
      params,
      change,
      range,
      span: spanOf(range, clock),
      setRange: (picked) => change(writeRange(picked, DEFAULT_RANGE)),
      filters: readFilters(params.get('filter')),
      setFilters: (filters) => change({ filter: writeFilters(filters) }),
    };
  }, [params, change, clock]);
}
