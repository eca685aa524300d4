/** The health of each part, with the reason when it is not well. */

import type { Health, Now } from '../../api/types.ts';
import { Badge, type Tone } from '../../ui/Badge.tsx';
import { Card } from '../../ui/Card.tsx';
import css from './Now.module.css';

const TONE: Record<Health, Tone> = { ok: 'ok', degraded: 'warn', down: 'bad' };
const WORDS: Record<Health, string> = { ok: 'works', degraded: 'needs a look', down: 'down' };

export function PartsCard({ roles }: { roles: Now['roles'] }) {
  return (
    <Card title="Parts">
      <ul className={css.parts}>
        {roles.map((role) => (
          <li key={role.name} className={css.part}>
            <span className={css.name}>{role.name}</span>
            <Badge tone={TONE[role.health]}>{WORDS[role.health]}</Badge>
            {role.reason && <p>{role.reason}</p>}
          </li>
        ))}
      </ul>
    </Card>
  );
}
