/** Numbers for people: grouped digits, short forms, ratios, bytes. */

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const short = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 });
const signed = new Intl.NumberFormat(undefined, { signDisplay: 'exceptZero', maximumFractionDigits: 1 });

export function formatCount(n: number): string {
  return whole.format(n);
}

/** `12.3K`; below 10 000 all digits. */
export function formatShort(n: number): string {
  return Math.abs(n) < 10_000 ? tenth.format(n) : short.format(n);
}

/** Events per second: one decimal while small. */
export function formatRate(n: number): string {
  return n >= 100 ? whole.format(n) : tenth.format(n);
}

/** `0.0123` → `1.23%`, with as many digits as a small ratio needs; null → an en dash. */
export function formatRatio(ratio: number | null | undefined): string {
  if (ratio === null || ratio === undefined || !Number.isFinite(ratio)) return '–';
  const percent = ratio * 100;
  const size = Math.abs(percent);
  if (size > 0 && size < 0.001) return `${percent < 0 ? '-' : ''}<0.001%`;
  const digits = size === 0 || size >= 10 ? 1 : size >= 0.1 ? 2 : 3;
  return `${percent.toFixed(digits)}%`;
}

/** Change against before: `+12.5%`; null when there was nothing before. */
export function formatChange(now: number, before: number): string | null {
  if (before === 0) return null;
  const percent = (now / before - 1) * 100;
  return `${Math.abs(percent) >= 1000 ? signed.format(Math.round(percent)) : signed.format(percent)}%`;
}

export function ratio(part: number, of: number): number | null {
  return of > 0 ? part / of : null;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? whole.format(value) : tenth.format(value)} ${UNITS[unit] ?? ''}`;
}

/** Milliseconds: `0.84 ms`, `12 ms`, `1.3 s`. */
export function formatMs(ms: number): string {
  if (ms >= 1000) return `${tenth.format(ms / 1000)} s`;
  return ms >= 10 ? `${whole.format(ms)} ms` : `${ms.toFixed(ms >= 1 ? 1 : 2)} ms`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${formatCount(n)} ${n === 1 ? one : many}`;
}
