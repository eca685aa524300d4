/** Times for people: in the viewer's zone or in UTC, relative ones, durations. */

export type Zone = 'local' | 'utc';

export function zoneName(zone: Zone): string {
  return zone === 'utc' ? 'UTC' : Intl.DateTimeFormat().resolvedOptions().timeZone;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: Zone, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = zone + JSON.stringify(options);
  let found = formats.get(key);
  if (!found) {
    found = new Intl.DateTimeFormat('en-GB', {
      ...options,
      hourCycle: 'h23',
      timeZone: zone === 'utc' ? 'UTC' : undefined,
    });
    formats.set(key, found);
  }
  return found;
}

export type TimeStyle = 'full' | 'minute' | 'clock' | 'day' | 'hour';

const STYLES: Record<TimeStyle, Intl.DateTimeFormatOptions> = {
  full: {
    year: 'numeric',
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  },
  minute: { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' },
  hour: { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' },
  clock: { hour: '2-digit', minute: '2-digit', second: '2-digit' },
  day: { year: 'numeric', month: 'short', day: 'numeric' },
};

export function formatTime(time: string | number | Date, zone: Zone, style: TimeStyle = 'full'): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? String(time) : format(zone, STYLES[style]).format(date);
}

/** `2026-11-21 16:35:20 UTC`, for titles; keeps the digits of the second that the API gave. */
export function utcTitle(time: string | number | Date): string {
  const text = typeof time === 'string' ? time : new Date(time).toISOString();
  return text
    .replace('T', ' ')
    .replace(/(\.\d*?)0+Z$/, '$1Z')
    .replace(/\.?Z$/, ' UTC');
}

const STEPS: readonly [seconds: number, unit: string][] = [
  [86_400, 'day'],
  [3600, 'hour'],
  [60, 'minute'],
  [1, 'second'],
];

/** The two largest units that matter: `2 days 3 hours`, `45 seconds`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return 'for ever';
  let left = Math.max(0, Math.round(seconds));
  const parts: string[] = [];
  for (const [size, unit] of STEPS) {
    const n = Math.floor(left / size);
    if (n > 0) {
      parts.push(`${n} ${unit}${n === 1 ? '' : 's'}`);
      left -= n * size;
    } else if (parts.length > 0) {
      break;
    }
    if (parts.length === 2) break;
  }
  return parts.length === 0 ? '0 seconds' : parts.join(' ');
}

/** The largest unit alone: `3 hours`. */
export function formatDurationShort(seconds: number): string {
  if (!Number.isFinite(seconds)) return 'for ever';
  for (const [size, unit] of STEPS) {
    const n = Math.floor(Math.max(0, seconds) / size);
    if (n > 0) return `${n} ${unit}${n === 1 ? '' : 's'}`;
  }
  return '0 seconds';
}

/** `just now`, `3 minutes ago`, `in 2 hours`. */
export function formatAgo(time: string | number | Date, now: number = Date.now()): string {
  const seconds = (now - new Date(time).getTime()) / 1000;
  if (Math.abs(seconds) < 5) return 'just now';
  return seconds > 0 ? `${formatDurationShort(seconds)} ago` : `in ${formatDurationShort(-seconds)}`;
}
