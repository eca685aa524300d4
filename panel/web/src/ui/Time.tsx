/** A moment: in the viewer's zone (or UTC when chosen), UTC with all its digits on hover. */

import { useNow } from '../app/clock.ts';
import { useZone } from '../app/zone.ts';
import { formatAgo, formatTime, utcTitle, type TimeStyle } from '../lib/time.ts';

export function Time({ at, style = 'full' }: { at: string | null | undefined; style?: TimeStyle }) {
  const zone = useZone();
  if (!at) return <span>never</span>;
  return (
    <time dateTime={at} title={utcTitle(at)} className="num">
      {formatTime(at, zone, style)}
    </time>
  );
}

/** `3 minutes ago`, kept current. */
export function Ago({ at }: { at: string | null | undefined }) {
  const now = useNow();
  if (!at) return <span>never</span>;
  return (
    <time dateTime={at} title={utcTitle(at)}>
      {formatAgo(at, now)}
    </time>
  );
}
