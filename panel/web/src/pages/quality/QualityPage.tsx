/** Whether the figures can be trusted, and what to do where they cannot. */

import { useCatalogueWords } from '../../api/explore.ts';
import { useQuality } from '../../api/quality.ts';
import type { Quality } from '../../api/types.ts';
import { useNow } from '../../app/clock.ts';
import { formatCount, formatRatio, plural, ratio } from '../../lib/numbers.ts';
import { iso, readRange, spanOf, writeRange } from '../../lib/range.ts';
import { useParams } from '../../lib/url.ts';
import { typeWords } from '../../lib/words.ts';
import { Bars } from '../../ui/Bars.tsx';
import { Card } from '../../ui/Card.tsx';
import { DataTable, type TableColumn } from '../../ui/DataTable.tsx';
import { Money } from '../../ui/Money.tsx';
import { Columns, Page } from '../../ui/Page.tsx';
import { RangePicker } from '../../ui/RangePicker.tsx';
import { Stat, Stats } from '../../ui/Stat.tsx';
import { Empty, Failed, Skeleton } from '../../ui/States.tsx';
import { DeadCard } from './DeadCard.tsx';
import { ReconcileCard } from './ReconcileCard.tsx';
import { WindowsCard } from './WindowsCard.tsx';

const DEFAULT = '24h';

const BUCKETS: Record<string, string> = {
  '<1m': 'Less than a minute',
  '1-10m': '1 to 10 minutes',
  '10-60m': '10 minutes to an hour',
  '1-24h': 'An hour to a day',
  '>24h': 'More than a day',
};

type Booked = Quality['duplicates'][number];

const booked = (currency: string | undefined, mixed: boolean): readonly TableColumn<Booked>[] => [
  { key: 'type', head: 'Type', rowHead: true, cell: (r) => typeWords(r.type) },
  { key: 'log', head: 'Log', wideOnly: true, cell: (r) => <code>{r.log}</code> },
  { key: 'events', head: 'Events', numeric: true, cell: (r) => formatCount(r.events) },
  {
    key: 'nanos',
    head: 'Not charged',
    numeric: true,
    // Kept by log and type, not by campaign: what several currencies come to is no amount.
    cell: (r) => (mixed ? 'several currencies' : <Money nanos={r.nanos} currency={currency} />),
  },
];

export default function QualityPage() {
  const [params, change] = useParams();
  const clock = useNow(60_000);
  const range = readRange(params, DEFAULT);
  const span = spanOf(range, clock);
  const query = useQuality({ start_time: iso(span.start), end_time: iso(span.end) });
  return (
    <Page
      title="Data quality"
      actions={
        <RangePicker range={range} span={span} onPick={(picked) => change(writeRange(picked, DEFAULT))} />
      }
    >
      {query.data === undefined ? (
        query.isError ? (
          <Failed error={query.error} what="The state of the data" retry={() => void query.refetch()} />
        ) : (
          <Skeleton what="the state of the data" lines={6} height={28} />
        )
      ) : (
        <Figures quality={query.data} />
      )}
      <DeadCard dead={query.data?.dead ?? []} />
      <ReconcileCard />
      {query.data && (
        <>
          <Columns wide>
            <Card title="Duplicates dropped" note="Clicks and conversions whose id was charged already" flush>
              <BookedTable
                rows={query.data.duplicates}
                label="Duplicates dropped"
                none="No duplicate was charged for"
              />
            </Card>
            <Card
              title="Not attributed"
              note="Events without a known campaign or tag; they cost nothing"
              flush
            >
              <BookedTable
                rows={query.data.unattributed}
                label="Not attributed"
                none="Every event found its campaign"
              />
            </Card>
          </Columns>
          <Late quality={query.data} />
        </>
      )}
      <WindowsCard />
    </Page>
  );
}

function BookedTable({ rows, label, none }: { rows: readonly Booked[]; label: string; none: string }) {
  const { currency, mixed } = useCatalogueWords();
  if (rows.length === 0) return <Empty title={none} />;
  const columns = booked(currency, mixed);
  return <DataTable label={label} columns={columns} rows={rows} rowKey={(r) => `${r.log}/${r.type}`} />;
}

function sum(rows: readonly { events: number }[]): number {
  return rows.reduce((total, row) => total + row.events, 0);
}

function Figures({ quality }: { quality: Quality }) {
  const late = sum(quality.late.filter((b) => b.bucket !== '<1m'));
  const all = sum(quality.late);
  return (
    <Stats label="State of the data" small>
      <Stat
        name="Dead letters"
        value={formatCount(quality.dead_total)}
        tone={quality.dead_total > 0 ? 'bad' : undefined}
        note="records that a sink could not take"
      />
      <Stat
        name="Duplicates dropped"
        value={formatCount(sum(quality.duplicates))}
        note="charged once only, of all time"
      />
      <Stat
        name="Not attributed"
        value={formatCount(sum(quality.unattributed))}
        note="no known campaign, of all time"
      />
      <Stat
        name="Late events"
        value={formatCount(late)}
        note={`over a minute late, ${formatRatio(ratio(late, all))} of the range`}
      />
      <Stat
        name="Ahead of time"
        value={formatCount(quality.future_events)}
        note="events dated after their receipt"
      />
      <Stat
        name="Delivered twice"
        value={quality.delivered_twice === null ? '–' : formatCount(quality.delivered_twice)}
        note={quality.delivered_twice === null ? 'too many events to count' : 'ids that came more than once'}
      />
    </Stats>
  );
}

function Late({ quality }: { quality: Quality }) {
  const all = sum(quality.late);
  return (
    <Card title="Late events" note="From the event’s own time to its receipt">
      {all === 0 ? (
        <Empty title="No event in this range" />
      ) : (
        <Bars
          label="Events by lateness"
          rows={quality.late.map((b) => ({
            key: b.bucket,
            name: BUCKETS[b.bucket] ?? b.bucket,
            value: b.events,
            words: `${plural(b.events, 'event')} · ${formatRatio(ratio(b.events, all))}`,
          }))}
        />
      )}
    </Card>
  );
}
