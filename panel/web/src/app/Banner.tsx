/** Says when the panel does not answer, so that old figures are not taken for new ones. */

import { useQueryClient } from '@tanstack/react-query';
import { WifiOff } from 'lucide-react';
import { useEffect, useSyncExternalStore } from 'react';
import { connection } from '../api/client.ts';
import { formatTime, utcTitle } from '../lib/time.ts';
import css from './Banner.module.css';
import { useZone } from './zone.ts';

const RETRY_MS = 2000;

export function Banner() {
  const lost = useSyncExternalStore(connection.subscribe, () => connection.lostSince);
  const client = useQueryClient();
  const zone = useZone();
  useEffect(() => {
    if (lost === null) return undefined;
    const timer = window.setInterval(() => void client.refetchQueries({ type: 'active' }), RETRY_MS);
    return () => window.clearInterval(timer);
  }, [lost, client]);
  if (lost === null) return null;
  return (
    <div className={css.banner} role="alert">
      <WifiOff aria-hidden="true" />
      <p>
        <b>The panel does not answer.</b> What you see is from{' '}
        <time dateTime={new Date(lost).toISOString()} title={utcTitle(lost)}>
          {formatTime(lost, zone, 'clock')}
        </time>
        ; trying again.
      </p>
    </div>
  );
}
