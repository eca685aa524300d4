/**
 * A modal dialog on the browser's own `<dialog>`: it keeps the focus inside, makes the rest inert, closes on Escape
 * and gives the focus back, without scripts that put style sheets into the page (the CSP refuses those).
 */

import { X } from 'lucide-react';
import { useEffect, useId, useRef, type ReactNode } from 'react';
import { Button } from './Button.tsx';
import { cx } from './cx.ts';
import css from './Dialog.module.css';

interface DialogProps {
  title: string;
  open: boolean;
  onClose: () => void;
  children: ReactNode;
  wide?: boolean;
  side?: boolean;
}

export function Dialog({ title, open, onClose, children, wide, side }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    const dialog = ref.current;
    if (!dialog) return;
    if (open && !dialog.open) dialog.showModal();
    if (!open && dialog.open) dialog.close();
  }, [open]);
  return (
    // Escape reaches `onClose` through the element's own close event; a click beside it is a pointer's shortcut.
    // eslint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-noninteractive-element-interactions
    <dialog
      ref={ref}
      className={cx(css.dialog, wide && css.wide, side && css.side)}
      aria-labelledby={titleId}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === ref.current) onClose();
      }}
    >
      {open && (
        <div className={css.inner}>
          <header className={css.head}>
            <h2 id={titleId}>{title}</h2>
            <Button look="ghost" small icon={<X />} aria-label="Close" onClick={onClose} />
          </header>
          {children}
        </div>
      )}
    </dialog>
  );
}

export function DialogActions({ children }: { children: ReactNode }) {
  return <div className={css.actions}>{children}</div>;
}
