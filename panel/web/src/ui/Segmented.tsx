/** One of a few: a row of radio buttons that looks like a switch. */

import { useId } from 'react';
import css from './Segmented.module.css';

interface SegmentedProps<V extends string> {
  label: string;
  options: readonly { value: V; label: string }[];
  value: V;
  onPick: (value: V) => void;
}

export function Segmented<V extends string>({ label, options, value, onPick }: SegmentedProps<V>) {
  const name = useId();
  return (
    <fieldset className={css.group}>
      <legend className="sr-only">{label}</legend>
      {options.map((option) => (
        <label key={option.value} className={css.item}>
          <input
            type="radio"
            name={name}
            value={option.value}
            checked={option.value === value}
            onChange={() => onPick(option.value)}
            className="sr-only"
          />
          <span>{option.label}</span>
        </label>
      ))}
    </fieldset>
  );
}
