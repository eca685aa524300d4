/** Who is signed in and what they may do. */

import { useQuery, useQueryClient } from '@tanstack/react-query';
import { createContext, useContext, useEffect, type ReactNode } from 'react';
import { api, setCsrf, setOnLoginRequired } from '../api/client.ts';
import { resetLive } from '../api/live.ts';
import type { Role, Session } from '../api/types.ts';

export const SESSION_KEY = ['session'];
const RANK: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 };

const SessionContext = createContext<Session | null>(null);

export function useSessionQuery() {
  const client = useQueryClient();
  const result = useQuery({
    queryKey: SESSION_KEY,
    queryFn: async ({ signal }) => {
      const session = await api.get<Session>('/api/v1/session', {}, signal);
      // Before any page of this session can send a change.
      setCsrf(session.csrf);
      return session;
    },
    staleTime: 60_000,
  });
  useEffect(() => {
    setOnLoginRequired(() => void client.invalidateQueries({ queryKey: SESSION_KEY }));
  }, [client]);
  return result;
}

/** Takes over the session that signing in or out answered with: nothing of the earlier one is kept. */
export function useTakeSession(): (session: Session) => void {
  const client = useQueryClient();
  return (session) => {
    setCsrf(session.csrf);
    resetLive();
    client.removeQueries({ predicate: (q) => q.queryKey[0] !== SESSION_KEY[0] });
    client.setQueryData(SESSION_KEY, session);
  };
}

export function SessionProvider({ session, children }: { session: Session; children: ReactNode }) {
  return <SessionContext.Provider value={session}>{children}</SessionContext.Provider>;
}

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === null) throw new Error('useSession outside of SessionProvider');
  return session;
}

/** Whether the signed-in person has `role` or more. */
export function useMay(role: Role): boolean {
  const session = useSession();
  return session.user !== null && RANK[session.user.role] >= RANK[role];
}
