/** The campaigns that were stopped last. */

import { Link } from 'wouter';
import type { NowStop } from '../../api/types.ts';
import { reasonWords } from '../../lib/words.ts';
import { Badge } from '../../ui/Badge.tsx';
import { Card } from '../../ui/Card.tsx';
import { DataTable, type TableColumn } from '../../ui/DataTable.tsx';
import { Empty } from '../../ui/States.tsx';
import { Ago } from '../../ui/Time.tsx';
import css from './Now.module.css';

const COLUMNS: readonly TableColumn<NowStop>[] = [
  {
    key: 'campaign',
    head: 'Campaign',
    rowHead: true,
    cell: (s) => <Link href={`/campaigns/${s.campaign_id}`}>{s.name || `Campaign ${s.campaign_id}`}</Link>,
  },
  { key: 'since', head: 'Stopped', cell: (s) => <Ago at={s.since} /> },
  {
    key: 'reason',
    head: 'Why',
    cell: (s) => <Badge tone={s.reason === 'operator' ? 'warn' : 'bad'}>{reasonWords(s.reason)}</Badge>,
  },
  { key: 'who', head: 'By', wideOnly: true, cell: (s) => s.who },
  { key: 'note', head: 'Note', wideOnly: true, cell: (s) => <span className={css.note}>{s.note}</span> },
];

export function StopsCard({ stops }: { stops: readonly NowStop[] }) {
  return (
    <Card title="Last stops" flush>
      {stops.length === 0 ? (
        <Empty title="No campaign is stopped">Stops by budget or by hand show up here at once.</Empty>
      ) : (
        <DataTable
          label="Last stops"
          columns={COLUMNS}
          rows={stops}
          rowKey={(s) => `${s.campaign_id}/${s.reason}`}
        />
      )}
    </Card>
  );
}
