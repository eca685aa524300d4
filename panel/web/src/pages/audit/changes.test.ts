import { expect, it } from 'vitest';
import { changes } from './changes.ts';

it('only what differs is shown', () => {
  const before = { total_budget_micros: '10', daily_budget_micros: null };
  const after = { total_budget_micros: '12500000', daily_budget_micros: null };
  expect(changes(before, after)).toEqual([{ name: 'total budget', before: '0.00001', after: '12.5' }]);
});

it('states of any form can be compared', () => {
  expect(changes(null, { reasons: ['operator'] })).toEqual([
    { name: 'reasons', before: null, after: 'operator' },
  ]);
  expect(changes({ reasons: ['operator'] }, { reasons: [] })).toEqual([
    { name: 'reasons', before: 'operator', after: 'none' },
  ]);
  expect(changes(null, { added: 3, removed: 0 })).toEqual([{ name: 'added', before: null, after: '3' }]);
  expect(changes('a', 'b')).toEqual([{ name: 'value', before: 'a', after: 'b' }]);
  expect(changes(null, null)).toEqual([]);
});
