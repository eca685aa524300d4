/** What a page says while it waits, when there is nothing, and when something went wrong. */

import { CircleAlert, Inbox } from 'lucide-react';
import type { ReactNode } from 'react';
import { errorWords } from '../api/client.ts';
import { Button } from './Button.tsx';
import css from './States.module.css';

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className={css.state}>
      <Inbox aria-hidden="true" className={css.icon} />
      <p className={css.title}>{title}</p>
      {children && <div className={css.text}>{children}</div>}
    </div>
  );
}

export function Failed({ error, retry, what }: { error: unknown; retry?: () => void; what: string }) {
  return (
    <div className={css.state} role="alert">
      <CircleAlert aria-hidden="true" className={css.bad} />
      <p className={css.title}>{what} could not be loaded</p>
      <p className={css.text}>{errorWords(error)}</p>
      {retry && (
        <Button small onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  );
}

/** Grey lines in the place of what is coming; read out as `Loading …`. */
export function Skeleton({ lines = 3, what, height }: { lines?: number; what: string; height?: number }) {
  return (
    <div className={css.skeleton} role="status">
      <span className="sr-only">Loading {what}</span>
      {Array.from({ length: lines }, (_, i) => (
        <span
          key={i}
          className={css.line}
          style={{ width: lines > 1 ? `${96 - ((i * 37) % 34)}%` : '100%', height }}
          aria-hidden="true"
        />
      ))}
    </div>
  );
}
