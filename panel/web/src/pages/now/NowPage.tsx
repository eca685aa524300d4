/** What happens this second: events, latency, spool, sinks, stops, the health of each part. */

import { useNowData } from '../../api/now.ts';
import { EVENT_TYPES, type Now } from '../../api/types.ts';
import { useNow } from '../../app/clock.ts';
import { formatRate } from '../../lib/numbers.ts';
import { typeWords } from '../../lib/words.ts';
import { Badge } from '../../ui/Badge.tsx';
import { Columns, Page } from '../../ui/Page.tsx';
import { Sparkline } from '../../ui/Sparkline.tsx';
import { Stat, Stats } from '../../ui/Stat.tsx';
import { Failed, Skeleton } from '../../ui/States.tsx';
import { Intake } from './Intake.tsx';
import { PartsCard } from './PartsCard.tsx';
import { SinksCard } from './SinksCard.tsx';
import { StopsCard } from './StopsCard.tsx';
import { ThroughputCard } from './ThroughputCard.tsx';

/** Older than this, the figures are no longer "now". */
const STALE_S = 10;

export function NowPage() {
  const now = useNowData();
  if (now.data === undefined) {
    return (
      <Page title="Now">
        {now.isError ? (
          <Failed error={now.error} what="The live figures" retry={() => void now.refetch()} />
        ) : (
          <Skeleton what="the live figures" lines={8} height={28} />
        )}
      </Page>
    );
  }
  return <NowView now={now.data} />;
}

function NowView({ now }: { now: Now }) {
  return (
    <Page title="Now" badge={<Health now={now} />} note={<Freshness time={now.time} />}>
      <Stats label="Events per second by type">
        {EVENT_TYPES.map((type) => (
          <Stat
            key={type}
            name={typeWords(type)}
            mark={`--${type}`}
            value={formatRate(now.rates[type])}
            note="per second"
          >
            <Sparkline values={now.history.map((p) => p[type])} color={`--${type}`} />
          </Stat>
        ))}
      </Stats>
      <ThroughputCard history={now.history} />
      <Intake now={now} />
      <Columns wide>
        <SinksCard sinks={now.sinks} />
        <PartsCard roles={now.roles} />
      </Columns>
      <StopsCard stops={now.stops} />
    </Page>
  );
}

function Health({ now }: { now: Now }) {
  const down = now.roles.filter((r) => r.health === 'down').length;
  const degraded = now.roles.filter((r) => r.health === 'degraded').length;
  if (down > 0) return <Badge tone="bad">{down === 1 ? 'One part is down' : `${down} parts are down`}</Badge>;
  if (degraded > 0) {
    return (
      <Badge tone="warn">{degraded === 1 ? 'One part needs a look' : `${degraded} parts need a look`}</Badge>
    );
  }
  return <Badge tone="ok">All parts work</Badge>;
}

function Freshness({ time }: { time: string }) {
  const clock = useNow();
  const age = Math.round((clock - Date.parse(time)) / 1000);
  if (age < STALE_S) return <>Live, once a second</>;
  return <Badge tone="warn">These figures are {age} seconds old</Badge>;
}
