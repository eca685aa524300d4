/** What happened to the campaign: hours charged, adjustments, stops, changes by people. */

import { useState, type ReactNode } from 'react';
import { useAdjustments, useAudit, useLedger, useStopHistory } from '../../api/campaigns.ts';
import type { Adjustment, Campaign, LedgerRow, Page, StopChange } from '../../api/types.ts';
import { formatCount, formatMs } from '../../lib/numbers.ts';
import { link, useParams } from '../../lib/url.ts';
import { reasonWords, typeWords } from '../../lib/words.ts';
import { Badge } from '../../ui/Badge.tsx';
import { Card } from '../../ui/Card.tsx';
import { DataTable, type TableColumn } from '../../ui/DataTable.tsx';
import { Money } from '../../ui/Money.tsx';
import { Pager } from '../../ui/Pager.tsx';
import { Empty, Failed, Skeleton } from '../../ui/States.tsx';
import { Tabs } from '../../ui/Tabs.tsx';
import { Time } from '../../ui/Time.tsx';
import { AuditTable } from '../audit/AuditTable.tsx';
import css from './Campaign.module.css';

const TABS = [
  { key: 'ledger', label: 'Ledger' },
  { key: 'stops', label: 'Stops' },
  { key: 'adjustments', label: 'Adjustments' },
  { key: 'audit', label: 'Audit' },
] as const;

export function History({ campaign }: { campaign: Campaign }) {
  const [params] = useParams();
  const tab = TABS.find((t) => t.key === params.get('tab'))?.key ?? 'ledger';
  const rest = Object.fromEntries(params);
  return (
    <Card title="History" flush>
      <div className={css.tabs}>
        <Tabs
          label="History"
          tabs={TABS.map((t) => ({
            href: link(`/campaigns/${campaign.campaign_id}`, {
              ...rest,
              tab: t.key === 'ledger' ? null : t.key,
            }),
            label: t.label,
            current: t.key === tab,
          }))}
        />
      </div>
      {tab === 'ledger' && <Ledger campaign={campaign} />}
      {tab === 'stops' && <Stops campaign={campaign} />}
      {tab === 'adjustments' && <Adjustments campaign={campaign} />}
      {tab === 'audit' && <Audit campaign={campaign} />}
    </Card>
  );
}

interface Asked<R> {
  data: Page<R> | undefined;
  isError: boolean;
  error: unknown;
  refetch: () => unknown;
}

interface PagedProps<R> {
  what: string;
  query: Asked<R>;
  cursors: readonly (string | null)[];
  onCursors: (cursors: readonly (string | null)[]) => void;
  empty: ReactNode;
  children: (rows: readonly R[]) => ReactNode;
}

function Paged<R>({ what, query, cursors, onCursors, empty, children }: PagedProps<R>) {
  if (query.data === undefined) {
    return query.isError ? (
      <Failed error={query.error} what={what} retry={() => void query.refetch()} />
    ) : (
      <div className={css.pad}>
        <Skeleton what={what.toLowerCase()} lines={5} />
      </div>
    );
  }
  if (query.data.result.length === 0) return empty;
  return (
    <>
      {children(query.data.result)}
      <Pager next={query.data.next_cursor} cursors={cursors} onCursors={onCursors} />
    </>
  );
}

const FIRST: readonly (string | null)[] = [null];

function Ledger({ campaign: c }: { campaign: Campaign }) {
  const [cursors, setCursors] = useState(FIRST);
  const query = useLedger(c.campaign_id, cursors.at(-1) ?? null);
  const columns: readonly TableColumn<LedgerRow>[] = [
    { key: 'hour', head: 'Hour', rowHead: true, cell: (r) => <Time at={r.hour} style="hour" /> },
    { key: 'type', head: 'Type', cell: (r) => typeWords(r.type) },
    { key: 'events', head: 'Events', numeric: true, cell: (r) => formatCount(r.events) },
    {
      key: 'cost',
      head: 'Charged',
      numeric: true,
      cell: (r) => <Money nanos={r.cost_nanos} currency={c.currency} />,
    },
  ];
  return (
    <Paged
      what="The ledger"
      query={query}
      cursors={cursors}
      onCursors={setCursors}
      empty={
        <Empty title="Nothing has been charged yet">
          An hour shows up here with its first charged event.
        </Empty>
      }
    >
      {(rows) => (
        <DataTable label="Ledger" columns={columns} rows={rows} rowKey={(r) => `${r.hour}/${r.type}`} />
      )}
    </Paged>
  );
}

function Stops({ campaign: c }: { campaign: Campaign }) {
  const [cursors, setCursors] = useState(FIRST);
  const query = useStopHistory(c.campaign_id, cursors.at(-1) ?? null);
  const columns: readonly TableColumn<StopChange>[] = [
    { key: 'time', head: 'Time', rowHead: true, cell: (r) => <Time at={r.time} /> },
    {
      key: 'state',
      head: 'From then on',
      cell: (r) => <Badge tone={r.serving ? 'ok' : 'bad'}>{r.serving ? 'Serving' : 'Stopped'}</Badge>,
    },
    {
      key: 'why',
      head: 'Why',
      cell: (r) => r.reasons.map(reasonWords).join(', ') || 'No reason holds any more',
    },
    {
      key: 'latency',
      head: 'After its cause',
      numeric: true,
      cell: (r) =>
        r.cause_received === null
          ? '–'
          : formatMs(Math.max(0, Date.parse(r.time) - Date.parse(r.cause_received))),
    },
    { key: 'version', head: 'Version', numeric: true, wideOnly: true, cell: (r) => r.version },
  ];
  return (
    <Paged
      what="The stops"
      query={query}
      cursors={cursors}
      onCursors={setCursors}
      empty={<Empty title="It has never been stopped" />}
    >
      {(rows) => <DataTable label="Stops" columns={columns} rows={rows} rowKey={(r) => r.version} />}
    </Paged>
  );
}

function Adjustments({ campaign: c }: { campaign: Campaign }) {
  const [cursors, setCursors] = useState(FIRST);
  const query = useAdjustments(c.campaign_id, cursors.at(-1) ?? null);
  const columns: readonly TableColumn<Adjustment>[] = [
    { key: 'time', head: 'Time', rowHead: true, cell: (r) => <Time at={r.time} /> },
    { key: 'kind', head: 'Kind', cell: (r) => r.kind.replaceAll('_', ' ') },
    {
      key: 'amount',
      head: 'Amount',
      numeric: true,
      cell: (r) => <Money nanos={r.amount_nanos} currency={c.currency} />,
    },
    { key: 'who', head: 'By', cell: (r) => r.who },
    { key: 'why', head: 'Why', cell: (r) => r.why },
  ];
  return (
    <Paged
      what="The adjustments"
      query={query}
      cursors={cursors}
      onCursors={setCursors}
      empty={<Empty title="Nothing was adjusted">Refunds and reversals are listed here.</Empty>}
    >
      {(rows) => (
        <DataTable label="Adjustments" columns={columns} rows={rows} rowKey={(r, i) => `${r.time}/${i}`} />
      )}
    </Paged>
  );
}

function Audit({ campaign: c }: { campaign: Campaign }) {
  const [cursors, setCursors] = useState(FIRST);
  const query = useAudit({ subject: `campaign ${c.campaign_id}` }, cursors.at(-1) ?? null);
  return (
    <Paged
      what="The audit"
      query={query}
      cursors={cursors}
      onCursors={setCursors}
      empty={<Empty title="Nobody has changed anything here" />}
    >
      {(rows) => <AuditTable entries={rows} withSubject={false} />}
    </Paged>
  );
}
