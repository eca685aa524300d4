/** One figure with its name, and what it means or how it changed. */

import type { ReactNode } from 'react';
import { cx } from './cx.ts';
import css from './Stat.module.css';

interface StatProps {
  name: string;
  value: ReactNode;
  note?: ReactNode;
  /** Colour of the mark before the name, a token such as `--click`. */
  mark?: string;
  children?: ReactNode;
  tone?: 'warn' | 'bad';
}

export function Stat({ name, value, note, mark, children, tone }: StatProps) {
  return (
    <div className={css.stat}>
      <dt className={css.name}>
        {mark && <span className={css.mark} style={{ background: `var(${mark})` }} aria-hidden="true" />}
        {name}
      </dt>
      <dd className={cx(css.value, tone && css[tone])}>{value}</dd>
      {note && <dd className={css.note}>{note}</dd>}
      {children && <dd className={css.extra}>{children}</dd>}
    </div>
  );
}

export function Stats({ children, label, small }: { children: ReactNode; label: string; small?: boolean }) {
  return (
    <section aria-label={label}>
      <dl className={cx(css.stats, small && css.small)}>{children}</dl>
    </section>
  );
}
