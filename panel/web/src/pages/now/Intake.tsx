/** Acknowledgement latency, spool, stop latency, rejected events and dead letters in one row. */

import { Link } from 'wouter';
import type { Now } from '../../api/types.ts';
import { formatBytes, formatCount, formatMs, formatRate, plural } from '../../lib/numbers.ts';
import { formatDuration } from '../../lib/time.ts';
import { Meter } from '../../ui/Meter.tsx';
import { Stat, Stats } from '../../ui/Stat.tsx';
import css from './Now.module.css';

export function Intake({ now }: { now: Now }) {
  const { ack_ms: ack, stop_latency_ms: stop, spool } = now;
  return (
    <Stats label="Intake">
      <Stat
        name="Acknowledgement, median"
        value={ack ? formatMs(ack.p50) : '–'}
        note={
          ack ? `99th percentile ${formatMs(ack.p99)}, last 10 seconds` : 'No request in the last 10 seconds'
        }
      />
      <Stat
        name="Waiting in the spool"
        value={spool ? formatCount(spool.depth_events) : '–'}
        note={spool ? 'events that the slowest sink has not taken in' : 'The spool is on another machine'}
      />
      <Stat
        name="Spool on disk"
        value={spool ? formatBytes(spool.bytes) : '–'}
        tone={spool && spool.seconds_left !== null && spool.seconds_left < 3600 ? 'bad' : undefined}
        note={spool && <SpoolNote spool={spool} />}
      />
      <Stat
        name="Budget stop, median"
        value={stop ? formatMs(stop.p50) : '–'}
        note={
          stop
            ? `99th percentile ${formatMs(stop.p99)}, from event to stop`
            : 'No campaign was stopped lately'
        }
      />
      <Stat
        name="Refused"
        value={formatRate(now.rejected_per_second)}
        tone={now.rejected_per_second > 0 ? 'warn' : undefined}
        note={
          <>
            events per second ·{' '}
            <Link href="/quality">
              {now.dead_total === 0 ? 'no dead letters' : plural(now.dead_total, 'dead letter')}
            </Link>
          </>
        }
      />
    </Stats>
  );
}

function SpoolNote({ spool }: { spool: NonNullable<Now['spool']> }) {
  const used = spool.quota_bytes > 0 ? spool.bytes / spool.quota_bytes : 0;
  return (
    <span className={css.spool}>
      <Meter
        value={used}
        tone={used > 0.9 ? 'over' : used > 0.7 ? 'near' : 'fine'}
        label="Spool quota used"
      />
      <span>
        of {formatBytes(spool.quota_bytes)}
        {spool.seconds_left === null ? ', not filling' : `, full in ${formatDuration(spool.seconds_left)}`}
      </span>
    </span>
  );
}
