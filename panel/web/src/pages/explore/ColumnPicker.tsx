/** Picks dimensions or measures from a list, in the order of picking. */

import type { ReactNode } from 'react';
import { Checkbox } from '../../ui/Field.tsx';
import { Popover } from '../../ui/Popover.tsx';
import css from './Explore.module.css';
import { columnWords } from './vocabulary.ts';

interface ColumnPickerProps {
  label: string;
  icon: ReactNode;
  options: readonly { value: string; label: string }[];
  picked: readonly string[];
  most?: number;
  least?: number;
  onPick: (picked: string[]) => void;
}

export function ColumnPicker({
  label,
  icon,
  options,
  picked,
  most = 99,
  least = 0,
  onPick,
}: ColumnPickerProps) {
  const words = picked.length === 0 ? 'nothing' : picked.map(columnWords).join(', ');
  return (
    <Popover
      icon={icon}
      label={
        <span className={css.pickerLabel}>
          <span>{label}</span> {words}
        </span>
      }
    >
      {() => (
        <div className={css.options}>
          {options.map((option) => {
            const on = picked.includes(option.value);
            return (
              <Checkbox
                key={option.value}
                label={option.label}
                checked={on}
                disabled={on ? picked.length <= least : picked.length >= most}
                onToggle={(add) =>
                  onPick(add ? [...picked, option.value] : picked.filter((v) => v !== option.value))
                }
              />
            );
          })}
          {most < 99 && <p className={css.quiet}>At most {most} at once.</p>}
        </div>
      )}
    </Popover>
  );
}
