/** Time ranges: the last hour or two fixed ends, their steps, the period before. */

export const PRESETS = ['15m', '1h', '6h', '24h', '7d', '30d', '90d'] as const;
export type Preset = (typeof PRESETS)[number];
/** What a link holds: a preset that moves with the clock, or two ends that stay. */
export type Range = { preset: Preset } | { from: number; to: number };
/** Milliseconds since 1970; `start` inclusive, `end` exclusive. */
export interface Span {
  start: number;
  end: number;
}

const MINUTE = 60_000;
const PRESET_MS: Record<Preset, number> = {
  '15m': 15 * MINUTE,
  '1h': 60 * MINUTE,
  '6h': 360 * MINUTE,
  '24h': 1440 * MINUTE,
  '7d': 7 * 1440 * MINUTE,
  '30d': 30 * 1440 * MINUTE,
  '90d': 90 * 1440 * MINUTE,
};

export const PRESET_WORDS: Record<Preset, string> = {
  '15m': 'Last 15 minutes',
  '1h': 'Last hour',
  '6h': 'Last 6 hours',
  '24h': 'Last 24 hours',
  '7d': 'Last 7 days',
  '30d': 'Last 30 days',
  '90d': 'Last 90 days',
};

export function isPreset(text: string | null): text is Preset {
  return PRESETS.some((p) => p === text);
}

/** From a link's parameters; nonsense gives the default. */
export function readRange(params: URLSearchParams, fallback: Preset): Range {
  const from = Date.parse(params.get('from') ?? '');
  const to = Date.parse(params.get('to') ?? '');
  if (Number.isFinite(from) && Number.isFinite(to) && from < to) return { from, to };
  const preset = params.get('range');
  return { preset: isPreset(preset) ? preset : fallback };
}

/** The parameters that [`readRange`] reads back; null takes one out of the link. */
export function writeRange(range: Range, fallback: Preset): Record<'range' | 'from' | 'to', string | null> {
  if ('preset' in range) {
    return { range: range.preset === fallback ? null : range.preset, from: null, to: null };
  }
  return { range: null, from: new Date(range.from).toISOString(), to: new Date(range.to).toISOString() };
}

/** The span at `now`; a moving end is the end of the current minute, so that equal questions stay equal. */
export function spanOf(range: Range, now: number): Span {
  if (!('preset' in range)) return { start: range.from, end: range.to };
  const end = Math.ceil((now + 1) / MINUTE) * MINUTE;
  return { start: end - PRESET_MS[range.preset], end };
}

export function before(span: Span): Span {
  return { start: span.start - (span.end - span.start), end: span.start };
}

const STEPS: readonly [name: string, ms: number][] = [
  ['1m', MINUTE],
  ['5m', 5 * MINUTE],
  ['15m', 15 * MINUTE],
  ['30m', 30 * MINUTE],
  ['1h', 60 * MINUTE],
  ['3h', 180 * MINUTE],
  ['6h', 360 * MINUTE],
  ['12h', 720 * MINUTE],
  ['1d', 1440 * MINUTE],
  ['7d', 10_080 * MINUTE],
];

export interface Step {
  name: string;
  ms: number;
}

/** The finest step that gives at most `points` points. */
export function stepFor(span: Span, points = 180): Step {
  const length = span.end - span.start;
  const found = STEPS.find(([, ms]) => length / ms <= points) ?? STEPS[STEPS.length - 1];
  return { name: found?.[0] ?? '1d', ms: found?.[1] ?? 1440 * MINUTE };
}

/** Every step's start within the span, aligned as the API aligns (whole steps since 1970). */
export function stepStarts(span: Span, step: Step): number[] {
  const starts: number[] = [];
  for (let t = Math.floor(span.start / step.ms) * step.ms; t < span.end; t += step.ms) starts.push(t);
  return starts;
}

export function iso(ms: number): string {
  return new Date(ms).toISOString();
}
