/** The records behind one reason: pick some to replay, look at one in full. */

import { useState } from 'react';
import { useDeadLetter, useDeadLetters, type Replay } from '../../api/quality.ts';
import type { DeadLetter } from '../../api/types.ts';
import { formatBytes, formatCount, plural } from '../../lib/numbers.ts';
import { Button } from '../../ui/Button.tsx';
import { DataTable, type TableColumn } from '../../ui/DataTable.tsx';
import { Dialog } from '../../ui/Dialog.tsx';
import { Checkbox } from '../../ui/Field.tsx';
import { Pager } from '../../ui/Pager.tsx';
import { Failed, Skeleton } from '../../ui/States.tsx';
import { Time } from '../../ui/Time.tsx';
import css from './Quality.module.css';

/** A replay that somebody is asked to confirm. */
export interface Asked {
  what: Replay;
  /** Whose letters they are. */
  sink: string;
  words: string;
}

interface DeadListProps {
  sink: string;
  code: string;
  onReplay: ((asked: Asked) => void) | undefined;
}

export function DeadList({ sink, code, onReplay }: DeadListProps) {
  const [cursors, setCursors] = useState<readonly (string | null)[]>([null]);
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const [shown, setShown] = useState<string | null>(null);
  const query = useDeadLetters({ sink, code, cursor: cursors.at(-1) ?? null });
  const rows = query.data?.result;
  if (rows === undefined) {
    return (
      <div className={css.pad}>
        {query.isError ? (
          <Failed error={query.error} what="The records" />
        ) : (
          <Skeleton what="the records" lines={4} />
        )}
      </div>
    );
  }
  // Those of other pages stay picked; one that has been replayed is picked no more.
  const picked = chosen.filter((id) => !rows.some((r) => r.id === id && r.replayed !== undefined));
  const columns: readonly TableColumn<DeadLetter>[] = [
    ...(onReplay
      ? [
          {
            key: 'pick',
            head: <span className="sr-only">Picked</span>,
            shrink: true,
            cell: (r: DeadLetter) =>
              r.replayed === undefined && (
                <Checkbox
                  label={`Pick the record at offset ${r.offset}`}
                  quiet
                  checked={picked.includes(r.id)}
                  onToggle={(on) => setChosen(on ? [...picked, r.id] : picked.filter((id) => id !== r.id))}
                />
              ),
          },
        ]
      : []),
    {
      key: 'message',
      head: 'What is wrong',
      rowHead: true,
      cell: (r) => (
        <>
          {r.message}
          {r.field && (
            <>
              {' '}
              (<code>{r.field}</code>)
            </>
          )}
          {r.replayed && (
            <p className={css.quiet}>
              Replayed by {r.replayed.who}, <Time at={r.replayed.time} style="minute" />
            </p>
          )}
        </>
      ),
    },
    { key: 'type', head: 'Type', wideOnly: true, cell: (r) => r.event_type ?? 'not readable' },
    {
      key: 'place',
      head: 'Partition, offset',
      numeric: true,
      wideOnly: true,
      cell: (r) => `${r.partition}, ${formatCount(r.offset)}`,
    },
    { key: 'bytes', head: 'Size', numeric: true, wideOnly: true, cell: (r) => formatBytes(r.bytes) },
    { key: 'time', head: 'Put away', wideOnly: true, cell: (r) => <Time at={r.time} style="minute" /> },
    {
      key: 'show',
      head: <span className="sr-only">Record</span>,
      shrink: true,
      cell: (r) => (
        <Button
          small
          look="ghost"
          aria-label={`Show the record at offset ${r.offset}`}
          onClick={() => setShown(r.id)}
        >
          Record
        </Button>
      ),
    },
  ];
  return (
    <div className={css.list}>
      {onReplay && picked.length > 0 && (
        <div className={css.picked}>
          <span>{plural(picked.length, 'record')} picked</span>
          <Button
            small
            look="primary"
            onClick={() =>
              onReplay({ what: { ids: [...picked] }, sink, words: plural(picked.length, 'record') })
            }
          >
            Replay picked
          </Button>
        </div>
      )}
      <DataTable label="Dead letters" columns={columns} rows={rows} rowKey={(r) => r.id} />
      <Pager next={query.data?.next_cursor ?? null} cursors={cursors} onCursors={setCursors} />
      <Dialog title="The record" open={shown !== null} onClose={() => setShown(null)} wide>
        <Record id={shown} />
      </Dialog>
    </div>
  );
}

function Record({ id }: { id: string | null }) {
  const query = useDeadLetter(id);
  if (query.isError) return <Failed error={query.error} what="The record" />;
  if (query.data === undefined) return <Skeleton what="the record" lines={6} />;
  const letter = query.data;
  return (
    <div className={css.dialog}>
      <p>{letter.message}</p>
      <p className={css.quiet}>
        {letter.log}, partition {letter.partition}, offset {formatCount(letter.offset)},{' '}
        {formatBytes(letter.bytes)}
      </p>
      {letter.replayed && (
        <p className={css.quiet}>
          Replayed by {letter.replayed.who}: now {letter.replayed.log}, partition {letter.replayed.partition}
          {letter.replayed.offset !== null && <>, offset {formatCount(letter.replayed.offset)}</>}
        </p>
      )}
      {letter.event !== undefined && letter.event !== null ? (
        <pre className={css.code}>{JSON.stringify(letter.event, null, 2)}</pre>
      ) : (
        <pre className={css.code}>
          {letter.body_hex?.replace(/(..)/g, '$1 ') ?? 'The record is not kept any more.'}
        </pre>
      )}
    </div>
  );
}
