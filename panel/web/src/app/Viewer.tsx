/** The foot of the navigation: who looks, in which colours and zone. */

import { useMutation } from '@tanstack/react-query';
import { LogOut, Settings2 } from 'lucide-react';
import { Link } from 'wouter';
import { api, errorWords } from '../api/client.ts';
import type { Session } from '../api/types.ts';
import { zoneName } from '../lib/time.ts';
import { Button } from '../ui/Button.tsx';
import { Popover } from '../ui/Popover.tsx';
import { Segmented } from '../ui/Segmented.tsx';
import { useSay } from '../ui/Toast.tsx';
import { useSession, useTakeSession } from './session.tsx';
import { chooseTheme, useThemeChoice } from './theme.ts';
import css from './Viewer.module.css';
import { chooseZone, useZone } from './zone.ts';

export function Viewer() {
  const session = useSession();
  const theme = useThemeChoice();
  const zone = useZone();
  const say = useSay();
  const take = useTakeSession();
  const leave = useMutation({
    mutationFn: async () => {
      await api.delete('/api/v1/session');
      return api.get<Session>('/api/v1/session');
    },
    onSuccess: take,
    onError: (error) => say(errorWords(error), 'bad'),
  });
  return (
    <div className={css.viewer}>
      <Popover
        className={css.display}
        label="Display"
        icon={<Settings2 aria-hidden="true" />}
        look="ghost"
        small
        up
      >
        {() => (
          <div className={css.settings}>
            <p>Colours</p>
            <Segmented
              label="Colours"
              value={theme}
              onPick={chooseTheme}
              options={[
                { value: 'system', label: 'System' },
                { value: 'light', label: 'Light' },
                { value: 'dark', label: 'Dark' },
              ]}
            />
            <p>Times</p>
            <Segmented
              label="Times"
              value={zone}
              onPick={chooseZone}
              options={[
                { value: 'local', label: zoneName('local') },
                { value: 'utc', label: 'UTC' },
              ]}
            />
          </div>
        )}
      </Popover>
      <div className={css.who}>
        {session.open ? (
          <div className={css.name}>
            <b>Open without login</b>
            <span>loopback only</span>
          </div>
        ) : (
          <>
            <Link href="/account" className={css.name}>
              <b>{session.user?.name}</b>
              <span>{session.user?.role}</span>
            </Link>
            <Button
              look="ghost"
              small
              icon={<LogOut />}
              aria-label="Sign out"
              busy={leave.isPending}
              onClick={() => leave.mutate()}
            />
          </>
        )}
      </div>
      <p className={css.version}>Version {session.version}</p>
    </div>
  );
}
