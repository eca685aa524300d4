/** How much of something is used: a bar with words for those who do not see it. */

import { cx } from './cx.ts';
import css from './Meter.module.css';

interface MeterProps {
  /** 0…1; more shows as full with the surplus hatched. */
  value: number;
  tone?: 'fine' | 'near' | 'over';
  label: string;
}

export function Meter({ value, tone = 'fine', label }: MeterProps) {
  const percent = Math.round(Math.min(1, Math.max(0, value)) * 1000) / 10;
  // Of a bar that is more than full, the part past the budget.
  const over = Number.isFinite(value) && value > 1 ? Math.min(60, ((value - 1) / value) * 100) : 0;
  return (
    <div
      className={cx(css.track, css[tone])}
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent}
      aria-valuetext={Number.isFinite(value) ? `${Math.round(value * 1000) / 10}%` : 'over'}
    >
      <div className={css.bar} style={{ width: `${percent}%` }} />
      {over > 0.5 && <div className={css.surplus} style={{ width: `${over}%` }} />}
    </div>
  );
}
