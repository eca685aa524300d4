/** Makes a token and shows it, once. */

import { Copy } from 'lucide-react';
import { useState } from 'react';
import { useAddToken } from '../../api/access.ts';
import { errorWords } from '../../api/client.ts';
import type { Role } from '../../api/types.ts';
import { Button } from '../../ui/Button.tsx';
import { Dialog, DialogActions } from '../../ui/Dialog.tsx';
import { Select, TextField } from '../../ui/Field.tsx';
import { useSay } from '../../ui/Toast.tsx';
import css from './Access.module.css';
import { ROLES } from './roles.ts';

const ENDS = [
  { value: '30', label: 'in 30 days' },
  { value: '90', label: 'in 90 days' },
  { value: '365', label: 'in a year' },
  { value: '', label: 'never' },
];

export function TokenDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog title="Make a token" open={open} onClose={onClose}>
      <Form onClose={onClose} />
    </Dialog>
  );
}

function Form({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>('viewer');
  const [days, setDays] = useState('90');
  const add = useAddToken();
  const say = useSay();
  if (add.data) {
    const { token } = add.data;
    return (
      <div className={css.form}>
        <p>Copy it now: it is not shown again.</p>
        <code className={css.token}>{token}</code>
        <DialogActions>
          <Button
            icon={<Copy aria-hidden="true" />}
            onClick={() =>
              void navigator.clipboard.writeText(token).then(
                () => say('The token is in the clipboard.'),
                () => say('The browser did not let it be copied: select it.', 'bad'),
              )
            }
          >
            Copy
          </Button>
          <Button look="primary" onClick={onClose}>
            Done
          </Button>
        </DialogActions>
      </div>
    );
  }
  return (
    <form
      className={css.form}
      onSubmit={(event) => {
        event.preventDefault();
        const expires = days === '' ? null : new Date(Date.now() + Number(days) * 86_400_000).toISOString();
        add.mutate({ name: name.trim(), role, expires });
      }}
    >
      <TextField
        label="Name"
        hint="What will use it: shown in the audit."
        required
        maxLength={64}
        value={name}
        onChange={(e) => setName(e.target.value)}
      />
      <Select label="Role" options={ROLES} value={role} onPick={setRole} />
      <Select label="Ends" options={ENDS} value={days} onPick={setDays} />
      {add.isError && (
        <p role="alert" className={css.bad}>
          {errorWords(add.error)}
        </p>
      )}
      <DialogActions>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" busy={add.isPending}>
          Make the token
        </Button>
      </DialogActions>
    </form>
  );
}
