/** How far each sink is behind. */

import type { NowSink } from '../../api/types.ts';
import { formatCount } from '../../lib/numbers.ts';
import { formatDuration } from '../../lib/time.ts';
import { sinkWords } from '../../lib/words.ts';
import { Badge, type Tone } from '../../ui/Badge.tsx';
import { Card } from '../../ui/Card.tsx';
import { DataTable, type TableColumn } from '../../ui/DataTable.tsx';
import { Empty } from '../../ui/States.tsx';

const TONES: Record<string, Tone> = { running: 'ok', starting: 'accent', paused: 'warn', retrying: 'warn' };

const COLUMNS: readonly TableColumn<NowSink>[] = [
  { key: 'sink', head: 'Sink', rowHead: true, cell: (s) => sinkWords(s.sink) },
  { key: 'state', head: 'State', cell: (s) => <Badge tone={TONES[s.state] ?? 'bad'}>{s.state}</Badge> },
  { key: 'lag', head: 'Behind by', numeric: true, cell: (s) => `${formatCount(s.lag_events)} events` },
  {
    key: 'seconds',
    head: 'Oldest waits',
    numeric: true,
    cell: (s) => (s.lag_seconds === null ? '–' : formatDuration(s.lag_seconds)),
  },
  { key: 'partitions', head: 'Partitions', numeric: true, wideOnly: true, cell: (s) => s.partitions },
];

export function SinksCard({ sinks }: { sinks: readonly NowSink[] }) {
  return (
    <Card title="Sinks" note="What has been acknowledged and not yet written" flush>
      {sinks.length === 0 ? (
        <Empty title="No sink runs in reach of this panel" />
      ) : (
        <DataTable label="Sinks" columns={COLUMNS} rows={sinks} rowKey={(s) => s.sink} />
      )}
    </Card>
  );
}
