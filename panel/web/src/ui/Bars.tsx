/** Horizontal bars with their names and values: a ranking that is also a list. */

import type { ReactNode } from 'react';
import css from './Bars.module.css';

export interface BarRow {
  key: string;
  name: ReactNode;
  value: number;
  words: ReactNode;
  color?: string;
}

export function Bars({ rows, label }: { rows: readonly BarRow[]; label: string }) {
  const top = Math.max(...rows.map((r) => r.value), 1e-12);
  return (
    <ul className={css.bars} aria-label={label}>
      {rows.map((row) => (
        <li key={row.key} className={css.row}>
          <span className={css.name}>{row.name}</span>
          <span className={css.track} aria-hidden="true">
            <span
              className={css.bar}
              style={{
                width: `${Math.max(row.value > 0 ? 0.5 : 0, (row.value / top) * 100)}%`,
                background: `var(${row.color ?? '--accent'})`,
              }}
            />
          </span>
          <span className={css.value}>{row.words}</span>
        </li>
      ))}
    </ul>
  );
}
