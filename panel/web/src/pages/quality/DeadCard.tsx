/** Dead letters by reason, each with what can be done: look at the record, replay it. */

import { RotateCcw } from 'lucide-react';
import { useState } from 'react';
import { errorWords } from '../../api/client.ts';
import { useReplay } from '../../api/quality.ts';
import type { Quality, Replayed } from '../../api/types.ts';
import { useMay } from '../../app/session.tsx';
import { formatCount, plural } from '../../lib/numbers.ts';
import { useParams } from '../../lib/url.ts';
import { deadWords, sinkWords } from '../../lib/words.ts';
import { Button } from '../../ui/Button.tsx';
import { Card } from '../../ui/Card.tsx';
import { DataTable, type TableColumn } from '../../ui/DataTable.tsx';
import { Dialog, DialogActions } from '../../ui/Dialog.tsx';
import { Checkbox } from '../../ui/Field.tsx';
import { Empty } from '../../ui/States.tsx';
import { useSay } from '../../ui/Toast.tsx';
import { DeadList, type Asked } from './DeadList.tsx';
import css from './Quality.module.css';

type Reason = Quality['dead'][number];
const MOST = 1000;

export function DeadCard({ dead }: { dead: readonly Reason[] }) {
  const [params, change] = useParams();
  const may = useMay('operator');
  const [asked, setAsked] = useState<Asked | null>(null);
  const sink = params.get('dead_sink');
  const code = params.get('dead_code');
  const columns: readonly TableColumn<Reason>[] = [
    {
      key: 'code',
      head: 'Why',
      rowHead: true,
      cell: (r) => (
        <>
          {deadWords(r.code)}
          <span className={css.under}>{sinkWords(r.sink)}</span>
        </>
      ),
    },
    { key: 'sink', head: 'Refused by', wideOnly: true, cell: (r) => sinkWords(r.sink) },
    { key: 'count', head: 'Records', numeric: true, cell: (r) => formatCount(r.count) },
    {
      key: 'actions',
      head: <span className="sr-only">Actions</span>,
      shrink: true,
      cell: (r) => (
        <div className={css.actions}>
          <Button
            small
            look="ghost"
            aria-pressed={sink === r.sink && code === r.code}
            onClick={() =>
              sink === r.sink && code === r.code
                ? change({ dead_sink: null, dead_code: null })
                : change({ dead_sink: r.sink, dead_code: r.code })
            }
          >
            {sink === r.sink && code === r.code ? 'Hide' : 'Show'}
          </Button>
          {may && (
            <Button
              small
              icon={<RotateCcw aria-hidden="true" />}
              onClick={() =>
                setAsked({
                  what: { sink: r.sink, code: r.code, limit: MOST },
                  sink: r.sink,
                  words: `${plural(Math.min(r.count, MOST), 'record')} that ${sinkWords(r.sink).toLowerCase()} refused`,
                })
              }
            >
              Replay
            </Button>
          )}
        </div>
      ),
    },
  ];
  return (
    <Card title="Dead letters" note="Records that were acknowledged and that a sink could not take" flush>
      {dead.length === 0 ? (
        <Empty title="There are no dead letters">Everything that was acknowledged has been taken in.</Empty>
      ) : (
        <DataTable
          label="Dead letters by reason"
          columns={columns}
          rows={dead}
          rowKey={(r) => `${r.sink}/${r.code}`}
        />
      )}
      {sink !== null && code !== null && dead.length > 0 && (
        <DeadList key={`${sink}/${code}`} sink={sink} code={code} onReplay={may ? setAsked : undefined} />
      )}
      <ReplayDialog asked={asked} onClose={() => setAsked(null)} />
    </Card>
  );
}

interface ReplayDialogProps {
  asked: Asked | null;
  onClose: () => void;
}

function ReplayDialog({ asked, onClose }: ReplayDialogProps) {
  const replay = useReplay();
  const say = useSay();
  const [refused, setRefused] = useState<Replayed['refused']>([]);
  const [alone, setAlone] = useState(false);
  const close = () => {
    replay.reset();
    setRefused([]);
    setAlone(false);
    onClose();
  };
  return (
    <Dialog title="Replay dead letters?" open={asked !== null} onClose={close}>
      <div className={css.dialog}>
        {refused.length === 0 ? (
          <>
            <p>
              {asked && alone
                ? `${asked.words} will be put into the log again for ${sinkWords(asked.sink)} alone, once. The other sinks pass over them.`
                : `${asked?.words ?? 'They'} will be put into the log again, once, if every sink had put them aside. What some sink has taken stays as it is, so that nothing is counted twice; it is named here.`}
            </p>
            {asked && (
              <Checkbox
                label={`To ${sinkWords(asked.sink)} alone, where the others have taken them`}
                checked={alone}
                onToggle={setAlone}
              />
            )}
          </>
        ) : (
          <>
            <p>
              {plural(refused.length, 'record')} stayed as {refused.length === 1 ? 'it is' : 'they are'}:
            </p>
            <ul className={css.refused}>
              {refused.slice(0, 20).map((r) => (
                <li key={r.id}>
                  <code>{r.id}</code> {r.why}
                </li>
              ))}
            </ul>
          </>
        )}
        {replay.isError && (
          <p role="alert" className={css.bad}>
            {errorWords(replay.error)}
          </p>
        )}
        <DialogActions>
          <Button onClick={close}>{refused.length === 0 ? 'Cancel' : 'Close'}</Button>
          {refused.length === 0 && asked && (
            <Button
              look="primary"
              busy={replay.isPending}
              onClick={() =>
                replay.mutate(alone ? { ...asked.what, to: asked.sink } : asked.what, {
                  onSuccess: (result) => {
                    say(`${plural(result.replayed.length, 'record')} replayed.`);
                    if (result.refused.length > 0) setRefused(result.refused);
                    else close();
                  },
                })
              }
            >
              Replay
            </Button>
          )}
        </DialogActions>
      </div>
    </Dialog>
  );
}
