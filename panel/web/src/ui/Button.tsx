/** Buttons and links that look like them. */

import type { ButtonHTMLAttributes, ReactNode } from 'react';
import { Link } from 'wouter';
import css from './Button.module.css';
import { cx } from './cx.ts';

type Look = 'primary' | 'secondary' | 'ghost' | 'danger';

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: Look;
  small?: boolean;
  busy?: boolean;
  icon?: ReactNode;
}

export function Button({ look = 'secondary', small, busy, icon, children, className, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      disabled={rest.disabled || busy}
      aria-busy={busy || undefined}
      className={cx(css.button, css[look], small && css.small, !children && css.square, className)}
    >
      {busy ? <span className={css.spinner} aria-hidden="true" /> : icon}
      {children}
    </button>
  );
}

interface LinkButtonProps {
  href: string;
  look?: Look;
  small?: boolean;
  icon?: ReactNode;
  children?: ReactNode;
  /** Leaves the pages: a file of the API. */
  download?: boolean;
  label?: string;
}

export function LinkButton({
  href,
  look = 'secondary',
  small,
  icon,
  children,
  download,
  label,
}: LinkButtonProps) {
  const className = cx(css.button, css[look], small && css.small, !children && css.square);
  if (download) {
    return (
      <a href={href} download className={className} aria-label={label}>
        {icon}
        {children}
      </a>
    );
  }
  return (
    <Link href={href} className={className} aria-label={label}>
      {icon}
      {children}
    </Link>
  );
}
