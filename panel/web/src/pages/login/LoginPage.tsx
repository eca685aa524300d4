/** Signing in with a name and a password, or through the organisation's identity provider. */

import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { api, errorWords } from '../../api/client.ts';
import type { Session } from '../../api/types.ts';
import { useTakeSession } from '../../app/session.tsx';
import { Button } from '../../ui/Button.tsx';
import { TextField } from '../../ui/Field.tsx';
import { Frame } from './Frame.tsx';
import css from './Login.module.css';

export function LoginPage({ session }: { session: Session }) {
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const take = useTakeSession();
  const login = useMutation({
    mutationFn: () => api.post<Session>('/api/v1/session', { name, password }),
    onSuccess: take,
    onSettled: () => setPassword(''),
  });
  return (
    <Frame title="Sign in to Penstock">
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault();
          login.mutate();
        }}
      >
        <TextField
          label="Name"
          name="name"
          autoComplete="username"
          autoCapitalize="none"
          required
          value={name}
          onChange={(e) => setName(e.target.value)}
        />
        <TextField
          label="Password"
          name="password"
          type="password"
          autoComplete="current-password"
          required
          value={password}
          onChange={(e) => setPassword(e.target.value)}
          error={login.isError ? errorWords(login.error) : null}
        />
        <Button type="submit" look="primary" busy={login.isPending}>
          Sign in
        </Button>
      </form>
      {session.oidc && (
        <>
          <p className={css.or}>or</p>
          <Button onClick={() => window.location.assign(session.oidc?.login_url ?? '/')}>
            {session.oidc.label}
          </Button>
        </>
      )}
    </Frame>
  );
}
