/** Users and tokens: who may come in. */

import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { api } from './client.ts';
import type { NewToken, Role, Token, User } from './types.ts';

const USERS = ['users'];
const TOKENS = ['tokens'];

export function useUsers() {
  return useQuery({ queryKey: USERS, queryFn: ({ signal }) => api.get<User[]>('/api/v1/users', {}, signal) });
}

export function useTokens() {
  return useQuery({
    queryKey: TOKENS,
    queryFn: ({ signal }) => api.get<Token[]>('/api/v1/tokens', {}, signal),
  });
}

function useChange<V, R>(key: string[], run: (variables: V) => Promise<R>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: run,
    onSuccess: () => client.invalidateQueries({ queryKey: key }),
  });
}

export const useAddUser = () =>
  useChange(USERS, (user: { name: string; role: Role; password: string }) =>
    api.post('/api/v1/users', { ...user, must_change_password: true }),
  );

export interface UserChange {
  name: string;
  role?: Role;
  password?: string;
  disabled?: boolean;
}

export const useChangeUser = () =>
  useChange(USERS, ({ name, ...change }: UserChange) =>
    api.put(`/api/v1/users/${encodeURIComponent(name)}`, {
      ...change,
      ...(change.password === undefined ? {} : { must_change_password: true }),
    }),
  );

export const useRemoveUser = () =>
  useChange(USERS, (name: string) => api.delete(`/api/v1/users/${encodeURIComponent(name)}`));

export const useAddToken = () =>
  useChange(TOKENS, (token: { name: string; role: Role; expires: string | null }) =>
    api.post<NewToken>('/api/v1/tokens', token),
  );

export const useRevokeToken = () =>
  useChange(TOKENS, (id: string) => api.delete(`/api/v1/tokens/${encodeURIComponent(id)}`));
