/** Changing one's own password. */

import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { api, errorWords } from '../../api/client.ts';
import { Button } from '../../ui/Button.tsx';
import { TextField } from '../../ui/Field.tsx';
import css from './Login.module.css';

const SHORTEST = 12;

export function PasswordForm({ name, onDone }: { name: string; onDone: () => void }) {
  const [current, setCurrent] = useState('');
  const [next, setNext] = useState('');
  const [again, setAgain] = useState('');
  const change = useMutation({
    mutationFn: () => api.put('/api/v1/session/password', { current, new: next }),
    onSuccess: () => {
      setCurrent('');
      setNext('');
      setAgain('');
      onDone();
    },
  });
  const differs = again !== '' && again !== next;
  return (
    <form
      className={css.form}
      onSubmit={(event) => {
        event.preventDefault();
        if (!differs) change.mutate();
      }}
    >
      <input type="hidden" name="username" autoComplete="username" value={name} readOnly />
      <TextField
        label="Current password"
        type="password"
        autoComplete="current-password"
        required
        value={current}
        onChange={(e) => setCurrent(e.target.value)}
      />
      <TextField
        label="New password"
        type="password"
        autoComplete="new-password"
        required
        minLength={SHORTEST}
        hint={`At least ${SHORTEST} characters.`}
        value={next}
        onChange={(e) => setNext(e.target.value)}
      />
      <TextField
        label="New password again"
        type="password"
        autoComplete="new-password"
        required
        value={again}
        onChange={(e) => setAgain(e.target.value)}
        error={differs ? 'The two new passwords differ.' : change.isError ? errorWords(change.error) : null}
      />
      <Button type="submit" look="primary" busy={change.isPending} disabled={differs}>
        Change the password
      </Button>
    </form>
  );
}
