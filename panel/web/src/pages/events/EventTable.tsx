/** Events in rows; each leads to the event in full. */

import { Link } from 'wouter';
import type { Event } from '../../api/types.ts';
import { DataTable, type TableColumn } from '../../ui/DataTable.tsx';
import { Money } from '../../ui/Money.tsx';
import { Time } from '../../ui/Time.tsx';
import { TypeMark } from './TypeMark.tsx';

function text(event: Event, name: string): string {
  const value = event.payload[name];
  return value === undefined || value === null ? '–' : String(value);
}

const COLUMNS: readonly TableColumn<Event>[] = [
  { key: 'time', head: 'Time', shrink: true, cell: (e) => <Time at={e.time} style="clock" /> },
  { key: 'type', head: 'Type', shrink: true, cell: (e) => <TypeMark type={e.type} /> },
  {
    key: 'id',
    head: 'Event',
    rowHead: true,
    cell: (e) => (
      <Link href={`/events/${e.id}`} className="mono" title={e.id}>
        {e.id.slice(0, 8)}…{e.id.slice(-4)}
      </Link>
    ),
  },
  {
    key: 'campaign',
    head: 'Campaign',
    cell: (e) =>
      e.campaign_id === 0 ? 'none' : <Link href={`/campaigns/${e.campaign_id}`}>{e.campaign_id}</Link>,
  },
  { key: 'tag', head: 'Tag', wideOnly: true, cell: (e) => text(e, 'tag') },
  { key: 'country', head: 'Country', wideOnly: true, cell: (e) => text(e, 'country') },
  { key: 'device', head: 'Device', wideOnly: true, cell: (e) => text(e, 'device') },
  { key: 'user', head: 'User', wideOnly: true, cell: (e) => text(e, 'user_id') },
  { key: 'cost', head: 'Cost', numeric: true, cell: (e) => <Money nanos={e.cost_nanos} /> },
];

export function EventTable({ events }: { events: readonly Event[] }) {
  return (
    <DataTable
      label="Events"
      columns={COLUMNS}
      rows={events}
      rowKey={(e) => `${e.log}/${e.partition}/${e.offset}`}
    />
  );
}
