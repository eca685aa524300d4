/** The conditions on the events that are looked at, each a chip, and a way to add one. */

import { Filter as FilterIcon, X } from 'lucide-react';
import { useDeferredValue, useState } from 'react';
import { useCatalogueWords, useDimensionValues } from '../../api/explore.ts';
import type { Filter } from '../../api/types.ts';
import { formatShort } from '../../lib/numbers.ts';
import { iso, type Span } from '../../lib/range.ts';
import { Button } from '../../ui/Button.tsx';
import { Checkbox, Select, TextField } from '../../ui/Field.tsx';
import { Popover } from '../../ui/Popover.tsx';
import { Skeleton } from '../../ui/States.tsx';
import css from './Explore.module.css';
import { columnWords, FILTERABLE, valueWords } from './vocabulary.ts';

const OPS = [
  { value: 'in', label: 'is one of' },
  { value: 'not_in', label: 'is none of' },
  { value: 'starts_with', label: 'starts with' },
] as const;

interface FilterBarProps {
  filters: readonly Filter[];
  span: Span;
  onChange: (filters: readonly Filter[]) => void;
}

export function FilterBar({ filters, span, onChange }: FilterBarProps) {
  const { names } = useCatalogueWords();
  return (
    <div className={css.filters}>
      {filters.map((filter, i) => {
        const op = OPS.find((o) => o.value === filter.op)?.label ?? filter.op;
        const values = filter.values.map((v) => valueWords(filter.dim, v, names)).join(', ');
        const words = `${columnWords(filter.dim)} ${op} ${values}`;
        return (
          <span key={`${filter.dim}/${i}`} className={css.chip}>
            <span title={words}>
              {columnWords(filter.dim)} {op} <b>{values}</b>
            </span>
            <button
              type="button"
              aria-label={`Remove the filter ${words}`}
              onClick={() => onChange(filters.filter((_, at) => at !== i))}
            >
              <X aria-hidden="true" />
            </button>
          </span>
        );
      })}
      <Popover label="Add a filter" icon={<FilterIcon aria-hidden="true" />} small look="ghost">
        {(close) => (
          <FilterForm
            span={span}
            onAdd={(filter) => {
              onChange([...filters, filter]);
              close();
            }}
          />
        )}
      </Popover>
    </div>
  );
}

function FilterForm({ span, onAdd }: { span: Span; onAdd: (filter: Filter) => void }) {
  const [dim, setDim] = useState<string>('country');
  const [op, setOp] = useState<Filter['op']>('in');
  const [search, setSearch] = useState('');
  const [picked, setPicked] = useState<readonly string[]>([]);
  const { names } = useCatalogueWords();
  const asked = useDeferredValue(search);
  const values = useDimensionValues(dim, {
    start_time: iso(span.start),
    end_time: iso(span.end),
    search: asked,
    limit: 50,
  });
  const typed = search.trim();
  const chosen = op === 'starts_with' ? (typed === '' ? [] : [typed]) : picked;
  const rows = values.data ?? [];
  return (
    <form
      className={css.filterForm}
      onSubmit={(event) => {
        event.preventDefault();
        if (chosen.length > 0) onAdd({ dim, op, values: [...chosen] });
      }}
    >
      <div className={css.pair}>
        <Select
          label="Dimension"
          quiet
          options={FILTERABLE}
          value={dim as (typeof FILTERABLE)[number]['value']}
          onPick={(next) => {
            setDim(next);
            setPicked([]);
            setSearch('');
          }}
        />
        <Select label="Comparison" quiet options={OPS} value={op} onPick={setOp} />
      </div>
      <TextField
        label={op === 'starts_with' ? 'Prefix' : 'Search values'}
        quiet
        placeholder={op === 'starts_with' ? 'Prefix' : 'Search values'}
        value={search}
        onChange={(e) => setSearch(e.target.value)}
      />
      {op !== 'starts_with' && (
        <div className={css.values}>
          {values.isPending ? (
            <Skeleton what="values" lines={4} />
          ) : rows.length === 0 ? (
            <p className={css.quiet}>No such value in this range.</p>
          ) : (
            rows.map((row) => (
              <div key={row.value} className={css.valueRow}>
                <Checkbox
                  label={valueWords(dim, row.value, names)}
                  checked={picked.includes(row.value)}
                  onToggle={(on) =>
                    setPicked(on ? [...picked, row.value] : picked.filter((v) => v !== row.value))
                  }
                />
                <span className="num">{formatShort(row.events)}</span>
              </div>
            ))
          )}
        </div>
      )}
      <Button type="submit" look="primary" small disabled={chosen.length === 0}>
        Add the filter
      </Button>
    </form>
  );
}
