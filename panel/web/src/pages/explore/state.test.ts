import { expect, it } from 'vitest';
import type { Filter } from '../../api/types.ts';
import { questionOf, readFilters, readState, writeFilters } from './state.ts';

const state = (query: string) => readState(new URLSearchParams(query));
const span = { start: 0, end: 3_600_000 };

it('a link reproduces the question', () => {
  const filters: Filter[] = [{ dim: 'tag', op: 'in', values: ['a "quoted", odd & long one', 'ä'] }];
  const query = new URLSearchParams({
    group_by: 'country,device',
    measures: 'clicks,users',
    filter: writeFilters(filters) ?? '',
    order: 'users',
    limit: '500',
  });
  const found = state(query.toString());
  expect(found).toEqual({
    groups: ['country', 'device'],
    measures: ['clicks', 'users'],
    filters,
    step: '',
    order: 'users',
    limit: 500,
  });
  expect(questionOf(found, span)).toMatchObject({
    start_time: '1970-01-01T00:00:00.000Z',
    group_by: 'country,device',
    measures: 'clicks,users',
    order_by: 'users',
  });
});

it('nonsense in a link is left out', () => {
  expect(state('group_by=country,evil,tag,os,device').groups).toEqual(['country', 'tag', 'os']);
  expect(state('measures=evil').measures[0]).toBe('impressions');
  expect(state('order=-evil').order).toBe('-impressions');
  expect(state('limit=9e9').limit).toBe(100);
  expect(readFilters('{]')).toEqual([]);
  expect(readFilters('[{"dim":"country","op":"like","values":["DE"]}]')).toEqual([]);
  expect(readFilters('[{"dim":"country","op":"in","values":[]}]')).toEqual([]);
});

it('no grouping at all is a choice of its own', () => {
  expect(state('').groups).toEqual(['country']);
  expect(state('group_by=').groups).toEqual([]);
});
