/** Events in windows of ten seconds by their own time: the newest few. */

import { useWindows } from '../../api/quality.ts';
import { EVENT_TYPES, type EventType, type WindowRow } from '../../api/types.ts';
import { formatCount } from '../../lib/numbers.ts';
import { typeWords } from '../../lib/words.ts';
import { Card } from '../../ui/Card.tsx';
import { DataTable, type TableColumn } from '../../ui/DataTable.tsx';
import { Empty, Failed, Skeleton } from '../../ui/States.tsx';
import { Time } from '../../ui/Time.tsx';
import css from './Quality.module.css';

const SHOWN = 12;

interface Window {
  start: string;
  counts: Partial<Record<EventType, number>>;
}

export function byWindow(rows: readonly WindowRow[]): Window[] {
  const windows = new Map<string, Window>();
  for (const row of rows) {
    const window = windows.get(row.window_start) ?? { start: row.window_start, counts: {} };
    window.counts[row.type] = row.count;
    windows.set(row.window_start, window);
  }
  return [...windows.values()].slice(0, SHOWN);
}

const COLUMNS: readonly TableColumn<Window>[] = [
  { key: 'start', head: 'From', rowHead: true, cell: (w) => <Time at={w.start} style="clock" /> },
  ...EVENT_TYPES.map((type): TableColumn<Window> => ({
    key: type,
    head: typeWords(type),
    numeric: true,
    cell: (w) => formatCount(w.counts[type] ?? 0),
  })),
];

export function WindowsCard() {
  const query = useWindows();
  const rows = query.data && byWindow(query.data.result);
  return (
    <Card
      title="Windows of ten seconds"
      note="Events by their own time, newest first; also at /api/v1/windows"
      flush
    >
      {rows === undefined ? (
        <div className={css.pad}>
          {query.isError ? (
            <Failed error={query.error} what="The windows" />
          ) : (
            <Skeleton what="the windows" lines={4} />
          )}
        </div>
      ) : rows.length === 0 ? (
        <Empty title="No event in the last ten minutes" />
      ) : (
        <DataTable label="Windows of ten seconds" columns={COLUMNS} rows={rows} rowKey={(w) => w.start} />
      )}
    </Card>
  );
}
