/** Holds log, archive, statistics and ledger against each other, on demand. */

import { Scale } from 'lucide-react';
import { errorWords } from '../../api/client.ts';
import { useReconcile } from '../../api/quality.ts';
import type { PartitionReport, Reconciliation, SinkReport } from '../../api/types.ts';
import { useMay } from '../../app/session.tsx';
import { formatCount, plural } from '../../lib/numbers.ts';
import { Badge } from '../../ui/Badge.tsx';
import { Button } from '../../ui/Button.tsx';
import { Card } from '../../ui/Card.tsx';
import { DataTable, type TableColumn } from '../../ui/DataTable.tsx';
import { Time } from '../../ui/Time.tsx';
import css from './Quality.module.css';

export function ReconcileCard() {
  const may = useMay('operator');
  const reconcile = useReconcile();
  return (
    <Card
      title="Reconciliation"
      note="Acknowledged = archived + dead = counted + dead, and counted = charged + duplicates + unattributed"
      actions={
        may ? (
          <Button
            icon={<Scale aria-hidden="true" />}
            busy={reconcile.isPending}
            onClick={() => reconcile.mutate()}
          >
            {reconcile.isPending ? 'Comparing' : 'Compare now'}
          </Button>
        ) : (
          <span className={css.quiet}>Needs the role operator.</span>
        )
      }
    >
      {reconcile.isError && (
        <p role="alert" className={css.bad}>
          {errorWords(reconcile.error)}
        </p>
      )}
      {reconcile.data ? (
        <Verdict report={reconcile.data} />
      ) : (
        <p className={css.quiet}>
          Not compared since this page was opened. It waits up to 30 seconds for sinks that are behind.
        </p>
      )}
    </Card>
  );
}

function Verdict({ report }: { report: Reconciliation }) {
  const sinks: readonly { name: string; report: SinkReport }[] = [
    { name: 'Statistics', report: report.totals.statistics },
    { name: 'Balances', report: report.totals.balances },
    { name: 'Archive', report: report.totals.archive },
  ];
  const columns: readonly TableColumn<{ name: string; report: SinkReport }>[] = [
    { key: 'name', head: 'Sink', rowHead: true, cell: (r) => r.name },
    { key: 'events', head: 'Holds', numeric: true, cell: (r) => formatCount(r.report.events) },
    { key: 'dead', head: 'Dead', numeric: true, cell: (r) => formatCount(r.report.dead) },
    { key: 'lag', head: 'Behind by', numeric: true, cell: (r) => formatCount(r.report.lag_events) },
    {
      key: 'nanos',
      head: 'Check sum of nanos',
      numeric: true,
      // Over all currencies, so it is no amount: it only has to be the same.
      cell: (r) => (
        <span className="num">{r.report.nanos === null ? '–' : BigInt(r.report.nanos).toLocaleString()}</span>
      ),
    },
  ];
  return (
    <div className={css.verdict} role="status">
      <p className={css.line}>
        {report.equal ? <Badge tone="ok">Equal</Badge> : <Badge tone="bad">Different</Badge>}
        {!report.complete && <Badge tone="warn">Some sinks are behind</Badge>}
        <span>
          {formatCount(report.totals.acknowledged)} acknowledged events in{' '}
          {plural(count(report.partitions), 'partition')}, compared <Time at={report.finished} />
        </span>
      </p>
      <DataTable label="What the sinks hold" columns={columns} rows={sinks} rowKey={(r) => r.name} />
      {report.differences.length > 0 && (
        <ul className={css.differences} aria-label="Differences">
          {report.differences.map((d, i) => (
            <li key={i}>
              <Badge tone="bad">{d.check.replaceAll('_', ' ')}</Badge> {d.message}
            </li>
          ))}
          {report.differences_left_out > 0 && <li>and {formatCount(report.differences_left_out)} more</li>}
        </ul>
      )}
      {report.notes.length > 0 && (
        <ul className={css.quiet}>
          {report.notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      )}
    </div>
  );
}

function count(partitions: readonly PartitionReport[]): number {
  return partitions.length;
}
