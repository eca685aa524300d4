/** The answer as a table, sorted by the database. */

import { Link } from 'wouter';
import type { CurrencyOf, Names } from '../../api/explore.ts';
import type { Cell, Column, Explored } from '../../api/types.ts';
import { DataTable, type TableColumn } from '../../ui/DataTable.tsx';
import { Time } from '../../ui/Time.tsx';
import { columnWords, measureWords, valueWords } from './vocabulary.ts';

interface ExploreTableProps {
  explored: Explored;
  order: string;
  onOrder: ((key: string) => void) | undefined;
  names: Names;
  currencyOf: CurrencyOf;
}

export function ExploreTable({ explored, order, onOrder, names, currencyOf }: ExploreTableProps) {
  const columns = explored.columns.map((column, i): TableColumn<Cell[]> => ({
    key: column.name,
    head: columnWords(column.name),
    numeric: column.kind === 'measure',
    rowHead: i === 0,
    sortable: onOrder !== undefined && column.kind !== 'time',
    cell: (row) => (
      <CellView
        column={column}
        value={row[i] ?? null}
        names={names}
        currency={currencyOf(explored.columns, row)}
      />
    ),
  }));
  return (
    <DataTable
      label="Result"
      columns={columns}
      rows={explored.rows}
      rowKey={(_, i) => i}
      sort={onOrder ? order : undefined}
      onSort={onOrder}
    />
  );
}

interface CellViewProps {
  column: Column;
  value: Cell;
  names: Names;
  currency: string | undefined;
}

function CellView({ column, value, names, currency }: CellViewProps) {
  if (column.kind === 'measure') return <>{measureWords(column, value, currency)}</>;
  if (column.kind === 'time' || column.name === 'hour') return <Time at={String(value)} style="minute" />;
  const words = valueWords(column.name, value, names);
  if (column.name === 'campaign_id' && Number(value) > 0)
    return <Link href={`/campaigns/${value}`}>{words}</Link>;
  return <>{words}</>;
}
