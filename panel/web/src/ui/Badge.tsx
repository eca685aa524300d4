/** A short state with a mark whose shape also tells it, for those who do not see the colour. */

import type { ReactNode } from 'react';
import { cx } from './cx.ts';
import css from './Badge.module.css';

export type Tone = 'ok' | 'warn' | 'bad' | 'plain' | 'accent';

export function Badge({
  tone = 'plain',
  children,
  title,
}: {
  tone?: Tone;
  children: ReactNode;
  title?: string;
}) {
  return (
    <span className={cx(css.badge, css[tone])} title={title}>
      <span className={css.mark} aria-hidden="true" />
      {children}
    </span>
  );
}
