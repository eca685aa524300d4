/**
 * Money as exact integers. Amounts arrive as text, are added as bigint and become a decimal only as text
 * for `Intl.NumberFormat`, which takes decimal strings without going through a float.
 */

const NANOS_PER_UNIT = 1_000_000_000n;

/** Nanos (10⁻⁹) from the API's text; null stays null. */
export function nanos(text: string | null | undefined): bigint | null {
  return text === null || text === undefined || text === '' ? null : BigInt(text);
}

/** Micros (10⁻⁶) from the API's text, as nanos. */
export function microsAsNanos(text: string | null | undefined): bigint | null {
  const micros = nanos(text);
  return micros === null ? null : micros * 1000n;
}

/** `1234567890n` → `1.23456789`: every digit, no rounding. */
export function decimal(amount: bigint): `${number}` {
  const sign = amount < 0n ? '-' : '';
  const size = amount < 0n ? -amount : amount;
  const fraction = (size % NANOS_PER_UNIT).toString().padStart(9, '0').replace(/0+$/, '');
  const text = `${sign}${size / NANOS_PER_UNIT}${fraction === '' ? '' : `.${fraction}`}`;
  return text as `${number}`;
}

const formats = new Map<string, Intl.NumberFormat>();

function format(currency: string | undefined, digits: number, compact: boolean): Intl.NumberFormat {
  const key = `${currency ?? ''}/${digits}/${compact}`;
  let found = formats.get(key);
  if (!found) {
    const shape: Intl.NumberFormatOptions = compact
      ? { notation: 'compact', maximumFractionDigits: 1 }
      : { minimumFractionDigits: digits, maximumFractionDigits: digits };
    if (currency) Object.assign(shape, { style: 'currency', currency, currencyDisplay: 'narrowSymbol' });
    try {
      found = new Intl.NumberFormat(undefined, shape);
    } catch {
      // A currency that ISO 4217 does not know: the plain number.
      found = new Intl.NumberFormat(undefined, { ...shape, style: 'decimal', currency: undefined });
    }
    formats.set(key, found);
  }
  return found;
}

/** How many decimals a reader needs: cents, and more for amounts below one cent (a CPM's single event). */
function digitsFor(amount: bigint): number {
  const size = amount < 0n ? -amount : amount;
  if (size === 0n || size >= 10_000_000n) return 2;
  return size >= 100_000n ? 4 : 6;
}

/** `$1,234.50`; amounts below a cent get more digits. */
export function formatMoney(amount: bigint, currency?: string): string {
  return format(currency, digitsFor(amount), false).format(decimal(amount));
}

/** `$1.2K`, for tight places; below 10 000 the same as [`formatMoney`]. */
export function formatMoneyShort(amount: bigint, currency?: string): string {
  const size = amount < 0n ? -amount : amount;
  if (size < 10_000n * NANOS_PER_UNIT) return formatMoney(amount, currency);
  return format(currency, 1, true).format(decimal(amount));
}

/** Every digit, for titles: `1,234.500000001 USD`. */
export function exactMoney(amount: bigint, currency?: string): string {
  const text = new Intl.NumberFormat(undefined, { maximumFractionDigits: 9 }).format(decimal(amount));
  return currency ? `${text} ${currency}` : text;
}

/** For charts and ratios only, where a float is precise enough: units of the currency. */
export function toPlot(amount: bigint): number {
  return Number(amount) / 1e9;
}

/** Share of `part` in `whole` as 0…1, computed on integers so that huge amounts keep their ratio. */
export function share(part: bigint, whole: bigint): number {
  if (whole <= 0n) return part > 0n ? Infinity : 0;
  return Number((part * 1_000_000n) / whole) / 1_000_000;
}

/** Amount divided by a count, in nanos, rounded half away from zero; null when there is nothing to divide by. */
export function perEvent(amount: bigint, events: number, times = 1n): bigint | null {
  if (events <= 0) return null;
  const by = BigInt(events);
  const scaled = amount * times;
  return (scaled + (scaled < 0n ? -by / 2n : by / 2n)) / by;
}

/** A typed amount (`12.50`, `1 200`) as micros text; null when it is not an amount the API takes. */
export function parseAmount(text: string): string | null {
  const found = /^(\d{1,13})(?:[.,](\d{1,6}))?$/.exec(text.replace(/[\s_']/g, ''));
  if (!found) return null;
  const micros = BigInt(found[1] ?? '0') * 1_000_000n + BigInt((found[2] ?? '').padEnd(6, '0'));
  return micros > 9_223_372_036_854_775n ? null : micros.toString();
}

/** Micros text as the plain decimal that [`parseAmount`] reads back. */
export function amountInput(micros: string | null): string {
  return micros === null ? '' : decimal(BigInt(micros) * 1000n);
}
