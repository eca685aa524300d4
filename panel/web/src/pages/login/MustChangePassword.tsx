/** A password that was handed over must be replaced before anything else is shown. */

import { useQueryClient } from '@tanstack/react-query';
import { SESSION_KEY } from '../../app/session.tsx';
import { Frame } from './Frame.tsx';
import { PasswordForm } from './PasswordForm.tsx';

export function MustChangePassword({ name }: { name: string }) {
  const client = useQueryClient();
  return (
    <Frame
      title="Choose a password of your own"
      note={`You are signed in as ${name} with a password that was given to you. Replace it to go on.`}
    >
      <PasswordForm name={name} onDone={() => void client.invalidateQueries({ queryKey: SESSION_KEY })} />
    </Frame>
  );
}
