/** Who changed what, from what to what, and why. */

import { Link } from 'wouter';
import type { AuditEntry } from '../../api/types.ts';
import { actionWords } from '../../lib/words.ts';
import { DataTable, type TableColumn } from '../../ui/DataTable.tsx';
import { Time } from '../../ui/Time.tsx';
import css from './Audit.module.css';
import { changes } from './changes.ts';

function Subject({ subject }: { subject: string }) {
  const campaign = /^campaign (\d+)$/.exec(subject);
  return campaign ? <Link href={`/campaigns/${campaign[1] ?? ''}`}>{subject}</Link> : <>{subject}</>;
}

function Changes({ entry }: { entry: AuditEntry }) {
  const rows = changes(entry.before, entry.after);
  if (rows.length === 0) return <span className={css.none}>–</span>;
  return (
    <ul className={css.changes}>
      {rows.map((row) => (
        <li key={row.name}>
          <span>{row.name}</span> {row.before !== null && <del>{row.before}</del>}{' '}
          {row.after !== null && <ins>{row.after}</ins>}
        </li>
      ))}
    </ul>
  );
}

const COLUMNS: readonly TableColumn<AuditEntry>[] = [
  { key: 'time', head: 'Time', shrink: true, cell: (e) => <Time at={e.time} style="minute" /> },
  { key: 'who', head: 'Who', rowHead: true, cell: (e) => e.who },
  { key: 'action', head: 'Did', cell: (e) => actionWords(e.action) },
  { key: 'subject', head: 'What', cell: (e) => <Subject subject={e.subject} /> },
  { key: 'change', head: 'Change', cell: (e) => <Changes entry={e} /> },
  { key: 'why', head: 'Why', cell: (e) => e.why },
];

export function AuditTable({
  entries,
  withSubject = true,
}: {
  entries: readonly AuditEntry[];
  withSubject?: boolean;
}) {
  const columns = withSubject ? COLUMNS : COLUMNS.filter((c) => c.key !== 'subject');
  return <DataTable label="Audit" columns={columns} rows={entries} rowKey={(e) => e.id} />;
}
