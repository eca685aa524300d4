/** An event's type with its colour. */

import css from './Events.module.css';

export function TypeMark({ type }: { type: string }) {
  return (
    <span className={css.type}>
      <span style={{ background: `var(--${type})` }} aria-hidden="true" />
      {type}
    </span>
  );
}
