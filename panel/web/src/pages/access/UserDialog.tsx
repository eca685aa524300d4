/** Adds a user, or changes role, password and state of one. */

import { useState } from 'react';
import { useAddUser, useChangeUser, useRemoveUser } from '../../api/access.ts';
import { errorWords } from '../../api/client.ts';
import type { Role, User } from '../../api/types.ts';
import { Button } from '../../ui/Button.tsx';
import { Dialog, DialogActions } from '../../ui/Dialog.tsx';
import { Checkbox, Select, TextField } from '../../ui/Field.tsx';
import { useSay } from '../../ui/Toast.tsx';
import css from './Access.module.css';
import { ROLES } from './roles.ts';

interface UserDialogProps {
  edited: User | 'new' | null;
  onClose: () => void;
}

export function UserDialog({ edited, onClose }: UserDialogProps) {
  const isNew = edited === 'new';
  return (
    <Dialog
      title={isNew ? 'Add a user' : `Change ${edited === null ? '' : edited.name}`}
      open={edited !== null}
      onClose={onClose}
    >
      {edited !== null && <Form user={isNew ? null : edited} onClose={onClose} />}
    </Dialog>
  );
}

function Form({ user, onClose }: { user: User | null; onClose: () => void }) {
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>(user?.role ?? 'viewer');
  const [password, setPassword] = useState('');
  const [disabled, setDisabled] = useState(user?.disabled ?? false);
  const [removing, setRemoving] = useState(false);
  const add = useAddUser();
  const change = useChangeUser();
  const remove = useRemoveUser();
  const say = useSay();
  const error = add.error ?? change.error ?? remove.error;
  const done = (words: string) => () => {
    say(words);
    onClose();
  };
  const submit = () => {
    if (user === null) {
      add.mutate({ name: name.trim(), role, password }, { onSuccess: done(`${name.trim()} may sign in.`) });
      return;
    }
    change.mutate(
      {
        name: user.name,
        ...(role === user.role ? {} : { role }),
        ...(disabled === user.disabled ? {} : { disabled }),
        ...(password === '' ? {} : { password }),
      },
      { onSuccess: done(`${user.name} is changed.`) },
    );
  };
  return (
    <form
      className={css.form}
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      {user === null && (
        <TextField
          label="Name"
          required
          autoComplete="off"
          autoCapitalize="none"
          value={name}
          onChange={(e) => setName(e.target.value)}
        />
      )}
      <Select label="Role" options={ROLES} value={role} onPick={setRole} />
      {(user === null || user.via === 'password') && (
        <TextField
          label={user === null ? 'First password' : 'New password'}
          type="password"
          autoComplete="new-password"
          required={user === null}
          minLength={12}
          hint={
            user === null
              ? 'At least 12 characters. It has to be replaced at the first sign-in.'
              : 'Leave it empty to keep the present one. All sessions of the user end.'
          }
          value={password}
          onChange={(e) => setPassword(e.target.value)}
        />
      )}
      {user !== null && (
        <Checkbox label="May not sign in (disabled)" checked={disabled} onToggle={setDisabled} />
      )}
      {error !== null && (
        <p role="alert" className={css.bad}>
          {errorWords(error)}
        </p>
      )}
      <DialogActions>
        {user !== null &&
          (removing ? (
            <Button
              look="danger"
              busy={remove.isPending}
              onClick={() => remove.mutate(user.name, { onSuccess: done(`${user.name} is removed.`) })}
            >
              Yes, remove {user.name}
            </Button>
          ) : (
            <Button look="ghost" onClick={() => setRemoving(true)}>
              Remove
            </Button>
          ))}
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" busy={add.isPending || change.isPending}>
          {user === null ? 'Add' : 'Save'}
        </Button>
      </DialogActions>
    </form>
  );
}
