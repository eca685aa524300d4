import { expect, it } from 'vitest';
import {
  formatBytes,
  formatChange,
  formatMs,
  formatRate,
  formatRatio,
  formatShort,
  plural,
} from './numbers.ts';

it('ratios get the digits they need, and a dash when nothing was divided', () => {
  expect(formatRatio(0.5)).toBe('50.0%');
  expect(formatRatio(0.00123)).toBe('0.12%');
  expect(formatRatio(0.000987)).toBe('0.099%');
  expect(formatRatio(0.000001)).toBe('<0.001%');
  expect(formatRatio(0)).toBe('0.0%');
  expect(formatRatio(null)).toBe('–');
  expect(formatRatio(Infinity)).toBe('–');
});

it('changes carry their sign, and nothing before is no change', () => {
  expect(formatChange(150, 100)).toBe('+50%');
  expect(formatChange(50, 100)).toBe('-50%');
  expect(formatChange(100, 100)).toBe('0%');
  expect(formatChange(5, 0)).toBeNull();
});

it('sizes and times are short and carry their unit', () => {
  expect(formatBytes(0)).toBe('0 B');
  expect(formatBytes(1536)).toBe('1.5 KiB');
  expect(formatBytes(8 * 2 ** 30)).toBe('8 GiB');
  expect(formatMs(0.234)).toBe('0.23 ms');
  expect(formatMs(5.55)).toBe('5.5 ms');
  expect(formatMs(240.4)).toBe('240 ms');
  expect(formatMs(1300)).toBe('1.3 s');
  expect(formatRate(3.14)).toBe('3.1');
  expect(formatRate(4811.6)).toBe('4,812');
  expect(formatShort(9999)).toBe('9,999');
  expect(formatShort(123456)).toBe('123.5K');
  expect(plural(1, 'event')).toBe('1 event');
  expect(plural(1200, 'event')).toBe('1,200 events');
});
