/** What differs between the two states that an audit entry keeps. */

export interface ChangedField {
  name: string;
  before: string | null;
  after: string | null;
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

/** Fields whose value changed; a state that is no object is one field named `value`. */
export function changes(before: unknown, after: unknown): ChangedField[] {
  const from = isObject(before) ? before : before === null || before === undefined ? {} : { value: before };
  const to = isObject(after) ? after : after === null || after === undefined ? {} : { value: after };
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])];
  return names
    .map((name) => ({ name: name.replaceAll('_', ' '), before: words(from[name]), after: words(to[name]) }))
    .filter((field) => field.before !== field.after);
}
