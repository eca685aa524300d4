/** A panel under its button: closes on Escape, on a click outside and when the focus leaves it. */

import { useEffect, useId, useRef, useState, type ReactNode } from 'react';
import { Button } from './Button.tsx';
import { cx } from './cx.ts';
import css from './Popover.module.css';

interface PopoverProps {
  label: ReactNode;
  icon?: ReactNode;
  /** For buttons whose label is an icon. */
  name?: string;
  small?: boolean;
  look?: 'secondary' | 'ghost';
  end?: boolean;
  up?: boolean;
  className?: string;
  children: (close: () => void) => ReactNode;
}

export function Popover({
  label,
  icon,
  name,
  small,
  look = 'secondary',
  end,
  up,
  className,
  children,
}: PopoverProps) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const id = useId();

  useEffect(() => {
    if (!open) return undefined;
    const outside = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    const escape = (event: KeyboardEvent) => {
      if (event.key !== 'Escape') return;
      setOpen(false);
      root.current?.querySelector('button')?.focus();
    };
    document.addEventListener('pointerdown', outside);
    document.addEventListener('focusin', outside);
    document.addEventListener('keydown', escape);
    return () => {
      document.removeEventListener('pointerdown', outside);
      document.removeEventListener('focusin', outside);
      document.removeEventListener('keydown', escape);
    };
  }, [open]);

  const close = () => {
    setOpen(false);
    root.current?.querySelector('button')?.focus();
  };

  return (
    <div className={cx(css.root, className)} ref={root}>
      <Button
        look={look}
        small={small}
        icon={icon}
        aria-label={name}
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        onClick={() => setOpen(!open)}
      >
        {label}
      </Button>
      {open && (
        <div id={id} className={cx(css.panel, end && css.end, up && css.up)}>
          {children(close)}
        </div>
      )}
    </div>
  );
}
