import { expect, it } from 'vitest';
import { formatAgo, formatDuration, formatDurationShort, formatTime, utcTitle } from './time.ts';

it('a title shows UTC with the digits that the API gave', () => {
  expect(utcTitle('2017-11-06T16:00:00Z')).toBe('2017-11-06 16:00:00 UTC');
  expect(utcTitle('2017-11-06T16:00:00.120000Z')).toBe('2017-11-06 16:00:00.12 UTC');
  expect(utcTitle('2017-11-06T16:00:00.000Z')).toBe('2017-11-06 16:00:00 UTC');
});

it('times in UTC do not depend on where the viewer sits', () => {
  expect(formatTime('2017-11-06T23:59:59Z', 'utc')).toBe('6 Nov 2017, 23:59:59');
  expect(formatTime('2017-11-06T00:00:00Z', 'utc', 'clock')).toBe('00:00:00');
  expect(formatTime('not a time', 'utc')).toBe('not a time');
});

it('durations are said in the units that matter', () => {
  expect(formatDuration(0)).toBe('0 seconds');
  expect(formatDuration(61)).toBe('1 minute 1 second');
  expect(formatDuration(3600)).toBe('1 hour');
  expect(formatDuration(2 * 86_400 + 3 * 3600 + 59)).toBe('2 days 3 hours');
  expect(formatDurationShort(7300)).toBe('2 hours');
  expect(formatDuration(Infinity)).toBe('for ever');
});

it('past and future are told apart', () => {
  const now = Date.parse('2026-01-01T12:00:00Z');
  expect(formatAgo('2026-01-01T11:57:00Z', now)).toBe('3 minutes ago');
  expect(formatAgo('2026-01-01T14:00:00Z', now)).toBe('in 2 hours');
  expect(formatAgo('2026-01-01T12:00:01Z', now)).toBe('just now');
});
