/** One event in full: what it says, what it cost, where it lies. */

import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { Problem } from '../../api/client.ts';
import { useCatalogueWords } from '../../api/explore.ts';
import { useEvent } from '../../api/events.ts';
import type { EventFound } from '../../api/types.ts';
import { useNow } from '../../app/clock.ts';
import { formatCount, formatMs } from '../../lib/numbers.ts';
import { Badge } from '../../ui/Badge.tsx';
import { Card } from '../../ui/Card.tsx';
import { Money } from '../../ui/Money.tsx';
import { Columns, Page } from '../../ui/Page.tsx';
import { Empty, Failed, Skeleton } from '../../ui/States.tsx';
import { Time } from '../../ui/Time.tsx';
import css from './Events.module.css';
import { TypeMark } from './TypeMark.tsx';

const BACK = <Link href="/events">Events</Link>;

export default function EventPage({ id }: { id: string }) {
  const query = useEvent(id);
  const found = query.data;
  if (found === undefined) {
    const unknown = query.error instanceof Problem && query.error.status === 404;
    return (
      <Page title={`Event ${id}`} above={BACK}>
        {unknown ? (
          <Empty title="No event with this id has been counted">
            It takes a second or two from the acknowledgement until it can be found. An event that no sink
            could take is in the <Link href="/quality">dead letters</Link>.
          </Empty>
        ) : query.isError ? (
          <Failed error={query.error} what="The event" retry={() => void query.refetch()} />
        ) : (
          <Skeleton what="the event" lines={8} height={24} />
        )}
      </Page>
    );
  }
  return (
    <Page
      title={`Event ${id}`}
      above={BACK}
      badge={found.length > 1 ? <Badge tone="warn">delivered {found.length} times</Badge> : undefined}
    >
      {found.map((event) => (
        <One key={`${event.place.log}/${event.place.partition}/${event.place.offset}`} event={event} />
      ))}
    </Page>
  );
}

function One({ event }: { event: EventFound }) {
  const { names } = useCatalogueWords();
  const { place } = event;
  const payload = Object.entries(event.payload);
  return (
    <>
      <Columns>
        <Card title="What">
          <Facts
            rows={[
              ['Type', <TypeMark key="t" type={event.type} />],
              [
                'Campaign',
                event.campaign_id === 0 ? (
                  'not attributed'
                ) : (
                  <Link key="c" href={`/campaigns/${event.campaign_id}`}>
                    {names.campaign_id.get(String(event.campaign_id)) ?? 'Campaign'} ({event.campaign_id})
                  </Link>
                ),
              ],
              ['Cost', <Money key="m" nanos={event.cost_nanos} />],
              ['Happened', <Time key="h" at={event.time} />],
              ['Received', <Received key="r" event={event} />],
              ['Ad server', event.server],
            ]}
          />
        </Card>
        <Card title="Where it lies">
          <Facts
            rows={[
              ['Log', <code key="l">{place.log}</code>],
              ['Partition', place.partition],
              ['Offset', formatCount(place.offset)],
              [
                'Archive',
                place.archive === null ? (
                  'cannot be read at the moment'
                ) : (
                  <span key="a" className={css.archive}>
                    <InArchive found={place.archive.found} received={event.received} />
                    <code>{place.archive.path}</code>
                  </span>
                ),
              ],
            ]}
          />
        </Card>
      </Columns>
      <Card title="Payload">
        {payload.length === 0 ? (
          <p>Nothing beyond the above.</p>
        ) : (
          <Facts rows={payload.map(([name, value]) => [name, <Value key={name} value={value} />])} />
        )}
      </Card>
      <Card title="As JSON">
        {/* A scrolling region must be reachable by keyboard. */}
        {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
        <pre className={css.json} role="region" aria-label="The event as JSON" tabIndex={0}>
          {JSON.stringify(event, null, 2)}
        </pre>
      </Card>
    </>
  );
}

/** Longer than any sensible `archive.max_age` and lag: then it is missing, not on its way. */
const ON_ITS_WAY_MS = 15 * 60_000;

function InArchive({ found, received }: { found: boolean; received: string }) {
  const now = useNow(10_000);
  if (found) return <Badge tone="ok">the file is there</Badge>;
  const early = now - Date.parse(received) < ON_ITS_WAY_MS;
  return (
    <Badge tone={early ? 'plain' : 'bad'}>
      {early ? 'not there yet, in this folder soon' : 'not in the archive'}
    </Badge>
  );
}

function Received({ event }: { event: EventFound }) {
  const late = Date.parse(event.received) - Date.parse(event.time);
  return (
    <>
      <Time at={event.received} />
      {late > 0 && <span className={css.late}>{formatMs(late)} later</span>}
    </>
  );
}

function Value({ value }: { value: unknown }) {
  if (typeof value === 'object' && value !== null) return <code>{JSON.stringify(value)}</code>;
  return <>{String(value)}</>;
}

function Facts({ rows }: { rows: readonly [name: string, value: ReactNode][] }) {
  return (
    <dl className={css.facts}>
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
