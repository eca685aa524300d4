/** Who may sign in, and as what. */

import { UserPlus } from 'lucide-react';
import { useState } from 'react';
import { useUsers } from '../../api/access.ts';
import type { User } from '../../api/types.ts';
import { useSession } from '../../app/session.tsx';
import { Badge } from '../../ui/Badge.tsx';
import { Button } from '../../ui/Button.tsx';
import { Card } from '../../ui/Card.tsx';
import { DataTable, type TableColumn } from '../../ui/DataTable.tsx';
import { Page } from '../../ui/Page.tsx';
import { Empty, Failed, Skeleton } from '../../ui/States.tsx';
import { Ago, Time } from '../../ui/Time.tsx';
import { AdminOnly } from './AdminOnly.tsx';
import { UserDialog } from './UserDialog.tsx';

export default function UsersPage() {
  return (
    <AdminOnly title="Users">
      <Users />
    </AdminOnly>
  );
}

function Users() {
  const query = useUsers();
  const session = useSession();
  const [edited, setEdited] = useState<User | 'new' | null>(null);
  const columns: readonly TableColumn<User>[] = [
    {
      key: 'name',
      head: 'Name',
      rowHead: true,
      cell: (u) => (u.name === session.user?.name ? `${u.name} (you)` : u.name),
    },
    { key: 'role', head: 'Role', cell: (u) => u.role },
    {
      key: 'state',
      head: 'State',
      cell: (u) => <Badge tone={u.disabled ? 'warn' : 'ok'}>{u.disabled ? 'disabled' : 'may sign in'}</Badge>,
    },
    {
      key: 'via',
      head: 'Signs in with',
      wideOnly: true,
      cell: (u) => (u.via === 'oidc' ? 'identity provider' : u.via),
    },
    { key: 'login', head: 'Last signed in', cell: (u) => <Ago at={u.last_login} /> },
    { key: 'created', head: 'Added', wideOnly: true, cell: (u) => <Time at={u.created} style="day" /> },
    {
      key: 'actions',
      head: <span className="sr-only">Actions</span>,
      shrink: true,
      cell: (u) => (
        <Button small look="ghost" aria-label={`Change ${u.name}`} onClick={() => setEdited(u)}>
          Change
        </Button>
      ),
    },
  ];
  return (
    <Page
      title="Users"
      actions={
        <Button look="primary" icon={<UserPlus aria-hidden="true" />} onClick={() => setEdited('new')}>
          Add a user
        </Button>
      }
    >
      <Card flush>
        {query.isError ? (
          <Failed error={query.error} what="The users" retry={() => void query.refetch()} />
        ) : query.data === undefined ? (
          <Skeleton what="the users" lines={4} />
        ) : query.data.length === 0 ? (
          <Empty title="There are no users" />
        ) : (
          <DataTable label="Users" columns={columns} rows={query.data} rowKey={(u) => u.name} />
        )}
      </Card>
      <UserDialog
        key={edited === null || edited === 'new' ? String(edited) : edited.name}
        edited={edited}
        onClose={() => setEdited(null)}
      />
    </Page>
  );
}
