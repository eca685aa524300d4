import { describe, expect, it } from 'vitest';
import { before, readRange, spanOf, stepFor, stepStarts, writeRange, type Range } from './range.ts';

const read = (query: string) => readRange(new URLSearchParams(query), '24h');

describe('ranges', () => {
  it('survive the way through a link', () => {
    const ranges: Range[] = [
      { preset: '7d' },
      { preset: '24h' },
      { from: 1_510_012_800_000, to: 1_510_016_400_000 },
    ];
    for (const range of ranges) {
      const params = new URLSearchParams();
      for (const [name, value] of Object.entries(writeRange(range, '24h')))
        if (value) params.set(name, value);
      expect(read(params.toString())).toEqual(range);
    }
  });

  it('nonsense in a link gives the default', () => {
    expect(read('range=9y')).toEqual({ preset: '24h' });
    expect(read('from=x&to=y')).toEqual({ preset: '24h' });
    expect(read('from=2020-01-02T00:00:00Z&to=2020-01-01T00:00:00Z')).toEqual({ preset: '24h' });
  });

  it('a moving range ends with the current minute, so that a question asked twice in it is the same', () => {
    const now = Date.parse('2026-01-01T12:00:20Z');
    expect(spanOf({ preset: '1h' }, now)).toEqual(spanOf({ preset: '1h' }, now + 30_000));
    expect(spanOf({ preset: '1h' }, now).end).toBe(Date.parse('2026-01-01T12:01:00Z'));
  });

  it('the period before is as long and ends where this one starts', () => {
    expect(before({ start: 100, end: 150 })).toEqual({ start: 50, end: 100 });
  });

  it('steps stay few and cover the whole span', () => {
    const span = spanOf({ preset: '24h' }, Date.parse('2026-01-01T12:00:20Z'));
    const step = stepFor(span);
    const starts = stepStarts(span, step);
    expect(starts.length).toBeLessThanOrEqual(182);
    expect(starts[0]).toBeLessThanOrEqual(span.start);
    expect((starts.at(-1) ?? 0) + step.ms).toBeGreaterThanOrEqual(span.end);
  });
});
