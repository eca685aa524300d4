/** Tokens for programs: each with a role and an end. */

import { KeyRound } from 'lucide-react';
import { useState } from 'react';
import { useRevokeToken, useTokens } from '../../api/access.ts';
import { errorWords } from '../../api/client.ts';
import type { Token } from '../../api/types.ts';
import { Button } from '../../ui/Button.tsx';
import { Card } from '../../ui/Card.tsx';
import { DataTable, type TableColumn } from '../../ui/DataTable.tsx';
import { Dialog, DialogActions } from '../../ui/Dialog.tsx';
import { Page } from '../../ui/Page.tsx';
import { Empty, Failed, Skeleton } from '../../ui/States.tsx';
import { Ago, Time } from '../../ui/Time.tsx';
import { useSay } from '../../ui/Toast.tsx';
import css from './Access.module.css';
import { AdminOnly } from './AdminOnly.tsx';
import { TokenDialog } from './TokenDialog.tsx';

export default function TokensPage() {
  return (
    <AdminOnly title="API tokens">
      <Tokens />
    </AdminOnly>
  );
}

function Tokens() {
  const query = useTokens();
  const [adding, setAdding] = useState(false);
  const [revoked, setRevoked] = useState<Token | null>(null);
  const revoke = useRevokeToken();
  const say = useSay();
  const columns: readonly TableColumn<Token>[] = [
    { key: 'name', head: 'Name', rowHead: true, cell: (t) => t.name },
    { key: 'role', head: 'Role', cell: (t) => t.role },
    {
      key: 'expires',
      head: 'Ends',
      cell: (t) => (t.expires ? <Time at={t.expires} style="day" /> : 'never'),
    },
    { key: 'used', head: 'Last used', cell: (t) => <Ago at={t.last_used} /> },
    { key: 'by', head: 'Made by', wideOnly: true, cell: (t) => t.created_by },
    { key: 'created', head: 'Made', wideOnly: true, cell: (t) => <Time at={t.created} style="day" /> },
    {
      key: 'actions',
      head: <span className="sr-only">Actions</span>,
      shrink: true,
      cell: (t) => (
        <Button small look="ghost" aria-label={`Revoke ${t.name}`} onClick={() => setRevoked(t)}>
          Revoke
        </Button>
      ),
    },
  ];
  return (
    <Page
      title="API tokens"
      note="Programs send them as Authorization: Bearer pst_…"
      actions={
        <Button look="primary" icon={<KeyRound aria-hidden="true" />} onClick={() => setAdding(true)}>
          Make a token
        </Button>
      }
    >
      <Card flush>
        {query.isError ? (
          <Failed error={query.error} what="The tokens" retry={() => void query.refetch()} />
        ) : query.data === undefined ? (
          <Skeleton what="the tokens" lines={4} />
        ) : query.data.length === 0 ? (
          <Empty title="There are no tokens">
            Make one for scripts, for Grafana, or for <code>penstock</code> on another machine.
          </Empty>
        ) : (
          <DataTable label="API tokens" columns={columns} rows={query.data} rowKey={(t) => t.id} />
        )}
      </Card>
      <TokenDialog open={adding} onClose={() => setAdding(false)} />
      <Dialog
        title={`Revoke ${revoked?.name ?? ''}?`}
        open={revoked !== null}
        onClose={() => setRevoked(null)}
      >
        <div className={css.form}>
          <p>Whatever uses this token is refused from now on. That cannot be undone.</p>
          {revoke.isError && (
            <p role="alert" className={css.bad}>
              {errorWords(revoke.error)}
            </p>
          )}
          <DialogActions>
            <Button onClick={() => setRevoked(null)}>Cancel</Button>
            <Button
              look="danger"
              busy={revoke.isPending}
              onClick={() => {
                if (revoked === null) return;
                revoke.mutate(revoked.id, {
                  onSuccess: () => {
                    say(`${revoked.name} is revoked.`);
                    setRevoked(null);
                  },
                });
              }}
            >
              Revoke
            </Button>
          </DialogActions>
        </div>
      </Dialog>
    </Page>
  );
}
