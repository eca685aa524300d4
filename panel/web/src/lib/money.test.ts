import { describe, expect, it } from 'vitest';
import {
  amountInput,
  decimal,
  exactMoney,
  formatMoney,
  formatMoneyShort,
  parseAmount,
  perEvent,
  share,
} from './money.ts';

describe('money', () => {
  it('keeps every nano of amounts that a float cannot hold', () => {
    expect(decimal(9_223_372_036_854_775_807n)).toBe('9223372036.854775807');
    expect(decimal(-1n)).toBe('-0.000000001');
    expect(decimal(170_141_183_460_469_231_731_687_303_715_884_105_727n)).toMatch(/\.884105727$/);
    expect(exactMoney(9_007_199_254_740_993_000_000_001n, 'USD')).toBe('9,007,199,254,740,993.000000001 USD');
  });

  it('shows cents, and more digits below a cent', () => {
    expect(formatMoney(1_234_500_000_000n, 'USD')).toBe('$1,234.50');
    expect(formatMoney(1_500_000n, 'USD')).toBe('$0.0015');
    expect(formatMoney(1_500n)).toBe('0.000002');
    expect(formatMoney(0n, 'EUR')).toBe('€0.00');
    expect(formatMoney(-2_000_000_000n, 'USD')).toBe('-$2.00');
    expect(formatMoneyShort(12_345_678n * 1_000_000_000n, 'USD')).toBe('$12.3M');
  });

  it('takes a currency that nobody knows as a plain number', () => {
    expect(formatMoney(1_000_000_000n, 'NOPE')).toBe('1.00');
  });

  it('reads amounts that people type, and only those the API takes', () => {
    expect(parseAmount('12.5')).toBe('12500000');
    expect(parseAmount('1 200,000001')).toBe('1200000001');
    expect(parseAmount('0')).toBe('0');
    for (const bad of ['', '-1', '1.0000001', '1e3', 'abc', '9223372036855'])
      expect(parseAmount(bad)).toBeNull();
    expect(parseAmount(amountInput('3504001'))).toBe('3504001');
  });

  it('divides without losing the ratio of huge amounts', () => {
    expect(share(50n, 100n)).toBe(0.5);
    expect(share(10n ** 30n, 4n * 10n ** 30n)).toBe(0.25);
    expect(share(1n, 0n)).toBe(Infinity);
    expect(perEvent(1_000n, 3)).toBe(333n);
    expect(perEvent(1_000n, 0)).toBeNull();
    expect(perEvent(2_000n, 1_000, 1_000n)).toBe(2_000n);
  });
});
