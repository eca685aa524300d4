/** A table of rows: sortable heads, numbers at the right, its own sideways scroll. */

import { ArrowDown, ArrowUp } from 'lucide-react';
import type { ReactNode } from 'react';
import { cx } from './cx.ts';
import css from './DataTable.module.css';

export interface TableColumn<R> {
  key: string;
  head: ReactNode;
  cell: (row: R) => ReactNode;
  numeric?: boolean;
  /** The cell names its row. */
  rowHead?: boolean;
  /** Left out on narrow screens. */
  wideOnly?: boolean;
  sortable?: boolean;
  shrink?: boolean;
}

interface DataTableProps<R> {
  label: string;
  columns: readonly TableColumn<R>[];
  rows: readonly R[];
  rowKey: (row: R, index: number) => string | number;
  sort?: string;
  onSort?: (key: string) => void;
  caption?: ReactNode;
}

export function DataTable<R>({ label, columns, rows, rowKey, sort, onSort, caption }: DataTableProps<R>) {
  const sortKey = sort?.replace(/^-/, '');
  const descending = sort?.startsWith('-') ?? false;
  return (
    // A scrolling region must be reachable by keyboard.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className={css.scroll} role="region" aria-label={`${label}, table`} tabIndex={0}>
      <table className={css.table}>
        {caption && <caption className={css.caption}>{caption}</caption>}
        <thead>
          <tr>
            {columns.map((column) => {
              const sorted = column.sortable && sortKey === column.key;
              return (
                <th
                  key={column.key}
                  scope="col"
                  aria-sort={sorted ? (descending ? 'descending' : 'ascending') : undefined}
                  className={cx(column.numeric && css.numeric, column.wideOnly && css.wideOnly)}
                >
                  {column.sortable && onSort ? (
                    <button type="button" className={css.sort} onClick={() => onSort(column.key)}>
                      {column.head}
                      {sorted &&
                        (descending ? <ArrowDown aria-hidden="true" /> : <ArrowUp aria-hidden="true" />)}
                    </button>
                  ) : (
                    column.head
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={rowKey(row, index)}>
              {columns.map((column) => {
                const className = cx(
                  column.numeric && css.numeric,
                  column.wideOnly && css.wideOnly,
                  column.shrink && css.shrink,
                );
                return column.rowHead ? (
                  <th key={column.key} scope="row" className={className}>
                    {column.cell(row)}
                  </th>
                ) : (
                  <td key={column.key} className={className}>
                    {column.cell(row)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The next value of a sort parameter when `key`'s head is pressed: largest first, then smallest first. */
export function nextSort(sort: string | undefined, key: string): string {
  return sort === `-${key}` ? key : `-${key}`;
}
