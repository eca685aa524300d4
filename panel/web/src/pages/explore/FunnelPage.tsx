/** How many users go from one step to the next within a time. */

import { useCatalogueWords, useFunnel } from '../../api/explore.ts';
import type { FunnelStep } from '../../api/types.ts';
import { formatCount, formatRatio, plural } from '../../lib/numbers.ts';
import { iso } from '../../lib/range.ts';
import { list } from '../../lib/url.ts';
import { typeWords } from '../../lib/words.ts';
import { Card } from '../../ui/Card.tsx';
import { DataTable, type TableColumn } from '../../ui/DataTable.tsx';
import { Select } from '../../ui/Field.tsx';
import { Empty, Failed, Skeleton } from '../../ui/States.tsx';
import css from './Explore.module.css';
import { ExploreFrame } from './ExploreFrame.tsx';
import { useView, writeFilters } from './state.ts';
import { columnWords, FILTERABLE, valueWords } from './vocabulary.ts';

const PATHS = [
  { value: 'impression,click,conversion', label: 'Impression → click → conversion' },
  { value: 'visit,impression,click,conversion', label: 'Visit → impression → click → conversion' },
  { value: 'impression,click', label: 'Impression → click' },
  { value: 'click,conversion', label: 'Click → conversion' },
  { value: 'visit,conversion', label: 'Visit → conversion' },
];
const WINDOWS = [
  { value: '10m', label: 'within 10 minutes' },
  { value: '1h', label: 'within an hour' },
  { value: '1d', label: 'within a day' },
  { value: '7d', label: 'within a week' },
];

export default function FunnelPage() {
  const view = useView();
  const { names } = useCatalogueWords();
  const given = view.params.get('steps');
  const steps = PATHS.some((p) => p.value === given) ? (given ?? '') : (PATHS[0]?.value ?? '');
  const window = WINDOWS.find((w) => w.value === view.params.get('window'))?.value ?? '1h';
  const by = FILTERABLE.find((d) => d.value === view.params.get('by'))?.value ?? '';
  const query = useFunnel({
    start_time: iso(view.span.start),
    end_time: iso(view.span.end),
    steps,
    window,
    by,
    filter: writeFilters(view.filters),
  });
  const funnel = query.data;
  const stepNames = list(steps).map(typeWords);
  const columns: readonly TableColumn<{ value: string; steps: FunnelStep[] }>[] = [
    { key: 'value', head: columnWords(by), rowHead: true, cell: (g) => valueWords(by, g.value, names) },
    ...stepNames.map((name, i) => ({
      key: `step${i}`,
      head: name,
      numeric: true,
      cell: (g: { steps: FunnelStep[] }) => formatCount(g.steps[i]?.users ?? 0),
    })),
    {
      key: 'whole',
      head: 'Start to end',
      numeric: true,
      cell: (g) => formatRatio(g.steps.at(-1)?.from_first),
    },
  ];
  return (
    <ExploreFrame
      view={view}
      path="/explore/funnel"
      controls={
        <>
          <Select
            label="Steps"
            quiet
            options={PATHS}
            value={steps}
            onPick={(v) => view.change({ steps: v === PATHS[0]?.value ? null : v })}
          />
          <Select
            label="Time from the first to the last step"
            quiet
            options={WINDOWS}
            value={window}
            onPick={(v) => view.change({ window: v === '1h' ? null : v })}
          />
          <Select
            label="Split by"
            quiet
            options={[
              { value: '', label: 'Not split' },
              ...FILTERABLE.map((d) => ({ value: d.value as string, label: `By ${d.label.toLowerCase()}` })),
            ]}
            value={by as string}
            onPick={(v) => view.change({ by: v })}
          />
        </>
      }
    >
      {query.isError && funnel === undefined ? (
        <Failed error={query.error} what="The funnel" retry={() => void query.refetch()} />
      ) : funnel === undefined ? (
        <Skeleton what="the funnel" lines={4} height={34} />
      ) : (funnel.steps[0]?.users ?? 0) === 0 ? (
        <Card>
          <Empty title="No user took the first step">
            Funnels follow <code>payload.user_id</code>: choose a longer range, or see whether events carry
            it.
          </Empty>
        </Card>
      ) : (
        <>
          <Card title="Funnel" note="Users, in the order of the steps, by the events’ own time">
            <ol className={css.steps}>
              {funnel.steps.map((step) => (
                <li key={step.step} className={css.step}>
                  <span>
                    {step.step}. {typeWords(step.type)}
                  </span>
                  <span className={css.stepBar} aria-hidden="true">
                    <span
                      style={{ width: `${(step.from_first ?? 1) * 100}%`, background: `var(--${step.type})` }}
                    />
                  </span>
                  <span className={css.stepWords}>
                    <b>{plural(step.users, 'user')}</b>
                    {step.from_previous !== null && (
                      <span>
                        {formatRatio(step.from_previous)} of the step before, {formatRatio(step.from_first)}{' '}
                        of all
                      </span>
                    )}
                  </span>
                </li>
              ))}
            </ol>
          </Card>
          {funnel.groups && by !== '' && (
            <Card title={`By ${columnWords(by).toLowerCase()}`} flush>
              <DataTable
                label="Funnel by group"
                columns={columns}
                rows={funnel.groups}
                rowKey={(g) => g.value}
              />
            </Card>
          )}
        </>
      )}
    </ExploreFrame>
  );
}
