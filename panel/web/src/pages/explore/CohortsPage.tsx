/** Who comes back: users by when they were first seen, and how many returned in each period after. */

import { useRetention } from '../../api/explore.ts';
import type { Retention } from '../../api/types.ts';
import { useZone } from '../../app/zone.ts';
import { formatCount, formatRatio, ratio } from '../../lib/numbers.ts';
import { iso } from '../../lib/range.ts';
import { formatTime, utcTitle } from '../../lib/time.ts';
import { Card } from '../../ui/Card.tsx';
import { Select } from '../../ui/Field.tsx';
import { Empty, Failed, Skeleton } from '../../ui/States.tsx';
import css from './Explore.module.css';
import { ExploreFrame } from './ExploreFrame.tsx';
import { useView, writeFilters } from './state.ts';

const UNITS = [
  { value: 'day', label: 'By day' },
  { value: 'week', label: 'By week' },
  { value: 'month', label: 'By month' },
] as const;
const EVENTS = [
  { value: 'visit', label: 'visit' },
  { value: 'impression', label: 'impression' },
  { value: 'click', label: 'click' },
  { value: 'conversion', label: 'conversion' },
] as const;
const PERIODS = 12;

export default function CohortsPage() {
  const view = useView();
  const unit = UNITS.find((u) => u.value === view.params.get('unit'))?.value ?? 'day';
  const first = EVENTS.find((e) => e.value === view.params.get('first'))?.value ?? 'visit';
  const back = EVENTS.find((e) => e.value === view.params.get('return'))?.value ?? 'visit';
  const query = useRetention({
    start_time: iso(view.span.start),
    end_time: iso(view.span.end),
    first,
    return: back,
    unit,
    periods: PERIODS,
    filter: writeFilters(view.filters),
  });
  const data = query.data;
  return (
    <ExploreFrame
      view={view}
      path="/explore/cohorts"
      controls={
        <>
          <Select
            label="Periods"
            quiet
            options={UNITS}
            value={unit}
            onPick={(v) => view.change({ unit: v })}
          />
          <Select
            label="First event"
            quiet
            options={EVENTS.map((e) => ({ ...e, label: `First ${e.label}` }))}
            value={first}
            onPick={(v) => view.change({ first: v })}
          />
          <Select
            label="Returning event"
            quiet
            options={EVENTS.map((e) => ({ ...e, label: `Back with a ${e.label}` }))}
            value={back}
            onPick={(v) => view.change({ return: v })}
          />
        </>
      }
    >
      {query.isError && data === undefined ? (
        <Failed error={query.error} what="The cohorts" retry={() => void query.refetch()} />
      ) : data === undefined ? (
        <Skeleton what="the cohorts" lines={6} height={26} />
      ) : data.cohorts.every((c) => c.users === 0) ? (
        <Card>
          <Empty title="Nobody was seen in this range">
            Cohorts follow <code>payload.user_id</code>. A range of some weeks shows the most.
          </Empty>
        </Card>
      ) : (
        <Card title="Retention" note={`Share of each cohort that came back, by ${data.unit}`}>
          <Heat data={data} />
        </Card>
      )}
    </ExploreFrame>
  );
}

function Heat({ data }: { data: Retention }) {
  const zone = useZone();
  const wide = Math.max(...data.cohorts.map((c) => c.returned.length));
  return (
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className={css.heatBox} role="region" aria-label="Retention, table" tabIndex={0}>
      <table className={css.heat}>
        <thead>
          <tr>
            <th scope="col">First seen</th>
            <th scope="col">Users</th>
            {Array.from({ length: wide }, (_, i) => (
              <th scope="col" key={i}>
                {i === 0 ? `Same ${data.unit}` : `+${i}`}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {data.cohorts.map((cohort) => (
            <tr key={cohort.start}>
              <th scope="row" title={utcTitle(cohort.start)}>
                {formatTime(cohort.start, data.unit === 'day' ? 'utc' : zone, 'day')}
              </th>
              <td>{formatCount(cohort.users)}</td>
              {cohort.returned.map((users, i) => {
                const share = ratio(users, cohort.users);
                return (
                  <td
                    key={i}
                    className={css.cell}
                    title={`${formatCount(users)} of ${formatCount(cohort.users)} users`}
                    style={{
                      background: `color-mix(in srgb, var(--accent) ${Math.round((share ?? 0) * 42)}%, var(--surface))`,
                    }}
                  >
                    {formatRatio(share)}
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
