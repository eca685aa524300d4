/** Unique users over time. */

import { useUsersOverTime } from '../../api/explore.ts';
import { formatCount, formatShort } from '../../lib/numbers.ts';
import { iso, stepFor } from '../../lib/range.ts';
import { Card } from '../../ui/Card.tsx';
import { Chart } from '../../ui/Chart.tsx';
import { Stat, Stats } from '../../ui/Stat.tsx';
import { Empty, Failed, Skeleton } from '../../ui/States.tsx';
import { ExploreFrame } from './ExploreFrame.tsx';
import { useView, writeFilters } from './state.ts';

export default function UsersPage() {
  const view = useView();
  const step = stepFor(view.span, 60);
  const query = useUsersOverTime({
    start_time: iso(view.span.start),
    end_time: iso(view.span.end),
    step: step.name,
    filter: writeFilters(view.filters),
  });
  const data = query.data;
  return (
    <ExploreFrame view={view} path="/explore/users">
      {query.isError && data === undefined ? (
        <Failed error={query.error} what="The users" retry={() => void query.refetch()} />
      ) : data === undefined ? (
        <Skeleton what="the users" lines={5} height={30} />
      ) : data.total === 0 ? (
        <Card>
          <Empty title="No user in this range">
            Users are counted by <code>payload.user_id</code>.
          </Empty>
        </Card>
      ) : (
        <>
          <Stats label="Users">
            <Stat
              name="Unique users"
              value={formatCount(data.total)}
              note="in the whole range, each counted once"
            />
          </Stats>
          <Card title="Unique users" note={`By ${step.name}`}>
            <Chart
              label="Unique users over time"
              times={data.rows.map((r) => Date.parse(r.time))}
              series={[
                { name: 'Users', color: '--accent', values: data.rows.map((r) => r.users), fill: true },
              ]}
              format={formatShort}
              height={300}
              onBrush={(start, end) => view.setRange({ from: Math.floor(start), to: Math.ceil(end) })}
            />
          </Card>
        </>
      )}
    </ExploreFrame>
  );
}
