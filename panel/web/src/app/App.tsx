/** Providers, and what is shown before anybody is known: loading, sign-in, a password to change. */

import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { Problem } from '../api/client.ts';
import { LoginPage } from '../pages/login/LoginPage.tsx';
import { MustChangePassword } from '../pages/login/MustChangePassword.tsx';
import { Failed, Skeleton } from '../ui/States.tsx';
import { Toasts } from '../ui/Toast.tsx';
import { Pages } from './Pages.tsx';
import { SessionProvider, useSessionQuery } from './session.tsx';
import { Shell } from './Shell.tsx';

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // What a person has to correct is not tried again.
      retry: (count, error) => count < 2 && !(error instanceof Problem && error.status < 500),
      refetchOnWindowFocus: true,
      staleTime: 2_000,
      // A request that cannot leave must fail: that is how the banner learns of it.
      networkMode: 'always',
    },
    mutations: { networkMode: 'always' },
  },
});

export function App() {
  return (
    <QueryClientProvider client={client}>
      <Toasts>
        <Gate />
      </Toasts>
    </QueryClientProvider>
  );
}

function Gate() {
  const session = useSessionQuery();
  if (session.data === undefined) {
    return (
      <main>
        {session.isError ? (
          <Failed error={session.error} what="The panel" retry={() => void session.refetch()} />
        ) : (
          <Skeleton what="the panel" lines={1} height={3} />
        )}
      </main>
    );
  }
  if (session.data.user === null) return <LoginPage session={session.data} />;
  if (session.data.user.must_change_password) return <MustChangePassword name={session.data.user.name} />;
  return (
    <SessionProvider session={session.data}>
      <Shell>
        <Pages />
      </Shell>
    </SessionProvider>
  );
}
