/** Pages that need the role admin say so to everybody else. */

import type { ReactNode } from 'react';
import { useMay, useSession } from '../../app/session.tsx';
import { Page } from '../../ui/Page.tsx';
import { Empty } from '../../ui/States.tsx';

export function AdminOnly({ title, children }: { title: string; children: ReactNode }) {
  const admin = useMay('admin');
  const { open } = useSession();
  if (admin && !open) return <>{children}</>;
  return (
    <Page title={title}>
      {open ? (
        <Empty title="The panel is open without login">
          Users and tokens have no effect here. Set <code>panel.access = &quot;login&quot;</code> to ask for a
          login.
        </Empty>
      ) : (
        <Empty title="This page needs the role admin">Ask an admin of this panel.</Empty>
      )}
    </Page>
  );
}
