/** What differs between the two states that an audit entry keeps. */

import { decimal } from '../../lib/money.ts';
import { utcTitle } from '../../lib/time.ts';

export interface ChangedField {
  name: string;
  before: string | null;
  after: string | null;
}

/** Amounts as decimals, moments as times; everything else as it is. */
function fieldWords(name: string, value: unknown): string | null {
  const integer = (typeof value === 'string' || typeof value === 'number') && /^-?\d+$/.test(String(value));
  if (integer && name.endsWith('_micros')) return decimal(BigInt(value) * 1000n);
  if (integer && name.endsWith('_nanos')) return decimal(BigInt(value));
  if (integer && name === 'known_from') return utcTitle(Math.floor(Number(value) / 1000));
  return words(value);
}

function words(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (Array.isArray(value))
    return value.length === 0 ? 'none' : value.map((v) => words(v) ?? 'none').join(', ');
  if (typeof value === 'object') return JSON.stringify(value);
  return String(value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Fields whose value changed; a state that is no object is one field named `value`. Where nothing was before, what
 * is empty or zero is left out.
 */
export function changes(before: unknown, after: unknown): ChangedField[] {
  const from = isObject(before) ? before : before === null || before === undefined ? {} : { value: before };
  const to = isObject(after) ? after : after === null || after === undefined ? {} : { value: after };
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])];
  return names
    .map((name) => ({
      name: name.replace(/_(micros|nanos)$/, '').replaceAll('_', ' '),
      before: fieldWords(name, from[name]),
      after: fieldWords(name, to[name]),
    }))
    .filter((field) => field.before !== field.after && !(field.before === null && field.after === '0'));
}
