/** The head of a page (its title also names the browser's tab) and its column of sections. */

import { useEffect, type ReactNode } from 'react';
import { cx } from './cx.ts';
import css from './Page.module.css';

interface PageProps {
  title: string;
  above?: ReactNode;
  badge?: ReactNode;
  note?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  narrow?: boolean;
}

export function Page({ title, above, badge, note, actions, children, narrow }: PageProps) {
  useEffect(() => {
    document.title = `${title} · Penstock`;
  }, [title]);
  return (
    <div className={cx(css.page, narrow && css.narrow)}>
      <header className={css.head}>
        <div className={css.titles}>
          {above && <div className={css.above}>{above}</div>}
          <div className={css.line}>
            <h1>{title}</h1>
            {badge}
          </div>
          {note && <p className={css.note}>{note}</p>}
        </div>
        {actions && <div className={css.actions}>{actions}</div>}
      </header>
      {children}
    </div>
  );
}

/** Controls in a row that wraps. */
export function Toolbar({ children }: { children: ReactNode }) {
  return <div className={css.toolbar}>{children}</div>;
}

/** Sections side by side where there is room. */
export function Columns({ children, wide }: { children: ReactNode; wide?: boolean }) {
  return <div className={wide ? css.columnsWide : css.columns}>{children}</div>;
}
