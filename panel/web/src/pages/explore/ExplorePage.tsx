/** Group by anything, measure anything: a picture, a table, a file, a link. */

import { Download, Rows3, Sigma } from 'lucide-react';
import { exportUrl, useCatalogueWords, useExplore } from '../../api/explore.ts';
import { plural } from '../../lib/numbers.ts';
import { stepFor } from '../../lib/range.ts';
import { LinkButton } from '../../ui/Button.tsx';
import { Card } from '../../ui/Card.tsx';
import { nextSort } from '../../ui/DataTable.tsx';
import { Select } from '../../ui/Field.tsx';
import { Popover } from '../../ui/Popover.tsx';
import { Empty, Failed, Skeleton } from '../../ui/States.tsx';
import { ColumnPicker } from './ColumnPicker.tsx';
import css from './Explore.module.css';
import { ExploreChart } from './ExploreChart.tsx';
import { ExploreFrame } from './ExploreFrame.tsx';
import { ExploreTable } from './ExploreTable.tsx';
import { MOST_GROUPS, questionOf, readState, useView } from './state.ts';
import { columnWords, DIMENSIONS, MEASURES } from './vocabulary.ts';

/** Amounts that are only missing where they would add different currencies. */
const SUMS = ['cost_nanos', 'value_micros', 'ecpm_nanos'];

const LIMITS = ['25', '100', '500', '1000'].map((n) => ({ value: n, label: `${n} rows` }));

export default function ExplorePage() {
  const view = useView();
  const state = readState(view.params);
  const { names, currency, mixed, currencyOf } = useCatalogueWords();
  const question = questionOf(state, view.span);
  const query = useExplore({ ...question, limit: state.limit });
  const explored = query.data;
  const ordered = state.order.replace(/^-/, '');
  const measure = state.measures.includes(ordered) ? ordered : (state.measures[0] ?? 'events');
  const auto = stepFor(view.span, 60);
  const steps = [
    { value: '', label: 'Whole range' },
    { value: auto.name, label: `Over time, by ${auto.name}` },
    ...['1m', '5m', '1h', '1d']
      .filter((s) => s !== auto.name)
      .map((s) => ({ value: s, label: `Over time, by ${s}` })),
  ];
  if (state.step !== '' && !steps.some((s) => s.value === state.step)) {
    steps.push({ value: state.step, label: `Over time, by ${state.step}` });
  }
  const money = state.measures.some((m) => m.endsWith('_nanos') || m.endsWith('_micros'));
  const unlike = (explored?.rows ?? []).some((row) =>
    explored?.columns.some((c, i) => SUMS.includes(c.name) && (row[i] ?? null) === null),
  );

  return (
    <ExploreFrame
      view={view}
      path="/explore"
      actions={
        <Popover label="Export" icon={<Download aria-hidden="true" />} end>
          {() => (
            <div className={css.exports}>
              <p className={css.quiet}>The whole result, written by ClickHouse.</p>
              <LinkButton href={exportUrl(question, 'csv')} download look="ghost">
                CSV
              </LinkButton>
              <LinkButton href={exportUrl(question, 'parquet')} download look="ghost">
                Parquet
              </LinkButton>
              <LinkButton href={exportUrl(question, 'json')} download look="ghost">
                JSON lines
              </LinkButton>
            </div>
          )}
        </Popover>
      }
      controls={
        <>
          <ColumnPicker
            label="Grouped by"
            icon={<Rows3 aria-hidden="true" />}
            options={DIMENSIONS}
            picked={state.groups}
            most={MOST_GROUPS}
            onPick={(groups) => {
              // A lone comma is the empty list: an empty parameter would be taken out of the address.
              view.change({ group_by: groups.length > 0 ? groups.join(',') : ',', order: null });
            }}
          />
          <ColumnPicker
            label="Measured"
            icon={<Sigma aria-hidden="true" />}
            options={MEASURES}
            picked={state.measures}
            least={1}
            onPick={(measures) => view.change({ measures: measures.join(',') })}
          />
          <Select
            label="Over time"
            quiet
            options={steps}
            value={state.step}
            onPick={(step) => view.change({ step })}
          />
          <Select
            label="Rows"
            quiet
            options={LIMITS}
            value={String(state.limit)}
            onPick={(limit) => view.change({ limit: limit === '100' ? null : limit })}
          />
        </>
      }
    >
      {query.isError && explored === undefined ? (
        <Card>
          <Failed error={query.error} what="The result" retry={() => void query.refetch()} />
        </Card>
      ) : explored === undefined ? (
        <Skeleton what="the result" lines={8} height={26} />
      ) : explored.rows.length === 0 ? (
        <Card>
          <Empty title="No event fits">Choose a longer range or take a filter away.</Empty>
        </Card>
      ) : (
        <>
          {query.isError && <p className={css.warning}>{query.error.message}</p>}
          {mixed && money && unlike && (
            <p className={css.warning}>
              Amounts of different currencies are not added, so rows that hold several show none: group by
              currency, advertiser or campaign, or filter by one currency.
            </p>
          )}
          <Card title={columnWords(measure)}>
            <ExploreChart
              explored={explored}
              measure={measure}
              names={names}
              currency={currency}
              currencyOf={currencyOf}
              onBrush={(start, end) => view.setRange({ from: Math.floor(start), to: Math.ceil(end) })}
            />
          </Card>
          <Card
            title={plural(explored.rows.length, 'row')}
            note={
              explored.truncated
                ? 'There are more rows than asked for: raise the number or export them.'
                : undefined
            }
            flush
          >
            <ExploreTable
              explored={explored}
              order={state.order}
              onOrder={
                state.step === '' ? (key) => view.change({ order: nextSort(state.order, key) }) : undefined
              }
              names={names}
              currencyOf={currencyOf}
            />
          </Card>
        </>
      )}
    </ExploreFrame>
  );
}
