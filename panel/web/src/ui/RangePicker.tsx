/** Picks a time range: one that moves with the clock, or two ends. The address keeps it. */

import { Calendar } from 'lucide-react';
import { useState } from 'react';
import { useZone } from '../app/zone.ts';
import { PRESETS, PRESET_WORDS, type Range, type Span } from '../lib/range.ts';
import { formatTime, zoneName, type Zone } from '../lib/time.ts';
import { Button } from './Button.tsx';
import { cx } from './cx.ts';
import { TextField } from './Field.tsx';
import { Popover } from './Popover.tsx';
import css from './RangePicker.module.css';

/** What `<input type="datetime-local">` takes: the wall clock in `zone`, to the minute. */
function inputValue(ms: number, zone: Zone): string {
  const shifted = zone === 'utc' ? ms : ms - new Date(ms).getTimezoneOffset() * 60_000;
  return new Date(shifted).toISOString().slice(0, 16);
}

function inputTime(text: string, zone: Zone): number {
  return Date.parse(zone === 'utc' ? `${text}Z` : text);
}

interface RangePickerProps {
  range: Range;
  span: Span;
  onPick: (range: Range) => void;
}

export function RangePicker({ range, span, onPick }: RangePickerProps) {
  const zone = useZone();
  const label =
    'preset' in range
      ? PRESET_WORDS[range.preset]
      : `${formatTime(span.start, zone, 'minute')} – ${formatTime(span.end, zone, 'minute')}`;
  return (
    <Popover label={label} icon={<Calendar aria-hidden="true" />} end>
      {(close) => (
        <RangeForm
          range={range}
          span={span}
          zone={zone}
          onPick={(picked) => {
            onPick(picked);
            close();
          }}
        />
      )}
    </Popover>
  );
}

function RangeForm({ range, span, zone, onPick }: RangePickerProps & { zone: Zone }) {
  const [from, setFrom] = useState(inputValue(span.start, zone));
  const [to, setTo] = useState(inputValue(span.end, zone));
  const ends = { from: inputTime(from, zone), to: inputTime(to, zone) };
  const fits = ends.from < ends.to;
  return (
    <div className={css.form}>
      <div className={css.presets}>
        {PRESETS.map((preset) => {
          const current = 'preset' in range && range.preset === preset;
          return (
            <button
              key={preset}
              type="button"
              className={cx(css.preset, current && css.current)}
              aria-pressed={current}
              onClick={() => onPick({ preset })}
            >
              {PRESET_WORDS[preset]}
            </button>
          );
        })}
      </div>
      <form
        className={css.ends}
        onSubmit={(event) => {
          event.preventDefault();
          if (fits) onPick(ends);
        }}
      >
        <TextField
          label="From"
          type="datetime-local"
          value={from}
          onChange={(e) => setFrom(e.target.value)}
        />
        <TextField
          label="To"
          type="datetime-local"
          value={to}
          onChange={(e) => setTo(e.target.value)}
          hint={`Times in ${zoneName(zone)}`}
          error={fits ? null : 'The end must lie behind the start.'}
        />
        <Button type="submit" look="primary" small disabled={!fits}>
          Show this range
        </Button>
      </form>
    </div>
  );
}
