import { expect, it } from 'vitest';
import { budgetState, exhaustion, reasonWords } from './words.ts';

const now = Date.parse('2026-01-01T12:00:00Z');
const campaign = {
  status: 'serving' as const,
  reasons: [] as string[],
  exhausted_at: null as string | null,
  total_budget_micros: '1000000' as string | null,
  daily_budget_micros: null,
};

it('the predicted end of a budget is said in words, and early enough to act', () => {
  const at = (time: string | null) => exhaustion({ ...campaign, exhausted_at: time }, now);
  expect(at('2026-01-01T15:30:00Z')).toEqual({ words: 'in 3 hours 30 minutes', soon: true });
  expect(at('2026-01-05T15:30:00Z')).toEqual({ words: 'in 4 days', soon: false });
  expect(at('2026-01-01T12:00:20Z')).toEqual({ words: 'within a minute', soon: true });
  expect(at('2031-01-01T12:00:20Z').words).toBe('in more than a year');
  expect(at(null).words).toBe('not at this pace');
});

it('a campaign that does not spend has no predicted end', () => {
  expect(exhaustion({ ...campaign, total_budget_micros: null }, now).words).toBe('no limit');
  expect(exhaustion({ ...campaign, status: 'stopped', reasons: ['operator'] }, now).words).toBe(
    'not spending',
  );
  expect(exhaustion({ ...campaign, status: 'stopped', reasons: ['total_budget'] }, now).words).toBe(
    'used up',
  );
});

it('a budget is over when all of it is spent', () => {
  expect(budgetState(89n, 100n)).toBe('fine');
  expect(budgetState(90n, 100n)).toBe('near');
  expect(budgetState(100n, 100n)).toBe('over');
  expect(budgetState(0n, 0n)).toBe('fine');
});

it('a reason that is new is still readable', () => {
  expect(reasonWords('some_new_reason')).toBe('some new reason');
});
