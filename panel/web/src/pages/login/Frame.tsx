/** The quiet page around signing in. */

import { useEffect, type ReactNode } from 'react';
import mark from '../../assets/mark.svg';
import css from './Login.module.css';

export function Frame({ title, note, children }: { title: string; note?: ReactNode; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Penstock`;
  }, [title]);
  return (
    <main className={css.page}>
      <div className={css.box}>
        <div className={css.brand}>
          <img src={mark} alt="" width={36} height={36} />
          <h1>{title}</h1>
          {note && <p className={css.note}>{note}</p>}
        </div>
        {children}
      </div>
    </main>
  );
}
