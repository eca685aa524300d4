/** One's own account. */

import { useQueryClient } from '@tanstack/react-query';
import { SESSION_KEY, useSession } from '../../app/session.tsx';
import { Card } from '../../ui/Card.tsx';
import { Page } from '../../ui/Page.tsx';
import { Empty } from '../../ui/States.tsx';
import { useSay } from '../../ui/Toast.tsx';
import { PasswordForm } from '../login/PasswordForm.tsx';
import css from './Access.module.css';

export default function AccountPage() {
  const { user, open } = useSession();
  const client = useQueryClient();
  const say = useSay();
  if (open || user === null) {
    return (
      <Page title="Account">
        <Empty title="The panel is open without login">There is no account to change.</Empty>
      </Page>
    );
  }
  return (
    <Page title="Account" note={`Signed in as ${user.name}, ${user.role}`} narrow>
      {user.via === 'password' ? (
        <Card title="Password" note="All your other sessions end when it changes">
          <div className={css.narrow}>
            <PasswordForm
              name={user.name}
              onDone={() => {
                say('Your password is changed.');
                void client.invalidateQueries({ queryKey: SESSION_KEY });
              }}
            />
          </div>
        </Card>
      ) : (
        <Empty title="You sign in through the identity provider">Your password is kept there.</Empty>
      )}
    </Page>
  );
}
