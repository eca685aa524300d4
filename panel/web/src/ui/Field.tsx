/** A labelled control with its hint and what is wrong with it. */

import {
  useId,
  type InputHTMLAttributes,
  type ReactNode,
  type SelectHTMLAttributes,
  type TextareaHTMLAttributes,
} from 'react';
import { cx } from './cx.ts';
import css from './Field.module.css';

interface Common {
  label: string;
  hint?: ReactNode;
  error?: string | null;
  /** The label is read out, not shown. */
  quiet?: boolean;
}

function Frame({
  id,
  label,
  hint,
  error,
  quiet,
  className,
  children,
}: Common & { id: string; className?: string; children: ReactNode }) {
  return (
    <div className={cx(css.field, className)}>
      <label htmlFor={id} className={quiet ? 'sr-only' : css.label}>
        {label}
      </label>
      {children}
      {hint && (
        <p id={`${id}-hint`} className={css.hint}>
          {hint}
        </p>
      )}
      {error && (
        <p id={`${id}-error`} className={css.error} role="alert">
          {error}
        </p>
      )}
    </div>
  );
}

function describedBy(id: string, hint: unknown, error: unknown): string | undefined {
  return cx(hint ? `${id}-hint` : null, error ? `${id}-error` : null) || undefined;
}

export function TextField({
  label,
  hint,
  error,
  quiet,
  className,
  ...rest
}: Common & InputHTMLAttributes<HTMLInputElement>) {
  const id = useId();
  return (
    <Frame id={id} label={label} hint={hint} error={error} quiet={quiet} className={className}>
      <input
        id={id}
        type="text"
        {...rest}
        className={css.control}
        aria-invalid={error ? true : undefined}
        aria-describedby={describedBy(id, hint, error)}
      />
    </Frame>
  );
}

export function TextArea({
  label,
  hint,
  error,
  quiet,
  ...rest
}: Common & TextareaHTMLAttributes<HTMLTextAreaElement>) {
  const id = useId();
  return (
    <Frame id={id} label={label} hint={hint} error={error} quiet={quiet}>
      <textarea
        id={id}
        rows={3}
        {...rest}
        className={cx(css.control, css.area)}
        aria-invalid={error ? true : undefined}
        aria-describedby={describedBy(id, hint, error)}
      />
    </Frame>
  );
}

export interface Option<V extends string = string> {
  value: V;
  label: string;
}

export function Select<V extends string>({
  label,
  hint,
  error,
  quiet,
  options,
  value,
  onPick,
  className,
  ...rest
}: Common & {
  options: readonly Option<V>[];
  value: V;
  onPick: (value: V) => void;
} & Omit<SelectHTMLAttributes<HTMLSelectElement>, 'value' | 'onChange'>) {
  const id = useId();
  return (
    <Frame id={id} label={label} hint={hint} error={error} quiet={quiet} className={className}>
      <select
        id={id}
        {...rest}
        value={value}
        onChange={(event) => onPick(event.target.value as V)}
        className={cx(css.control, css.select)}
        aria-describedby={describedBy(id, hint, error)}
      >
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
      </select>
    </Frame>
  );
}

export function Checkbox({
  label,
  checked,
  onToggle,
  disabled,
  quiet,
}: {
  label: string;
  checked: boolean;
  onToggle: (checked: boolean) => void;
  disabled?: boolean;
  quiet?: boolean;
}) {
  return (
    <label className={css.check}>
      <input
        type="checkbox"
        checked={checked}
        disabled={disabled}
        onChange={(e) => onToggle(e.target.checked)}
      />
      <span className={quiet ? 'sr-only' : undefined}>{label}</span>
    </label>
  );
}
