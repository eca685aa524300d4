/** A titled section of a page. */

import { useId, type ReactNode } from 'react';
import { cx } from './cx.ts';
import css from './Card.module.css';

interface CardProps {
  title?: ReactNode;
  note?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  /** No inner space: tables reach the edges. */
  flush?: boolean;
  className?: string;
}

export function Card({ title, note, actions, children, flush, className }: CardProps) {
  const id = useId();
  return (
    <section className={cx(css.card, className)} aria-labelledby={title ? id : undefined}>
      {(title || actions) && (
        <header className={css.head}>
          <div className={css.titles}>
            {title && <h2 id={id}>{title}</h2>}
            {note && <p className={css.note}>{note}</p>}
          </div>
          {actions && <div className={css.actions}>{actions}</div>}
        </header>
      )}
      <div className={flush ? css.flush : css.body}>{children}</div>
    </section>
  );
}
