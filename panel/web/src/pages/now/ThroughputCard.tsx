/** Events per second over the last five minutes, all types in one picture. */

import { useMemo, useState } from 'react';
import { EVENT_TYPES, type NowPoint } from '../../api/types.ts';
import { formatRate } from '../../lib/numbers.ts';
import { typeWords } from '../../lib/words.ts';
import { Card } from '../../ui/Card.tsx';
import { Chart, type Series } from '../../ui/Chart.tsx';
import { Segmented } from '../../ui/Segmented.tsx';
import { Empty } from '../../ui/States.tsx';

export function ThroughputCard({ history }: { history: readonly NowPoint[] }) {
  const [scale, setScale] = useState<'linear' | 'asinh'>('asinh');
  const times = useMemo(() => history.map((p) => Date.parse(p.time)), [history]);
  const series = useMemo<Series[]>(
    () =>
      EVENT_TYPES.map((type) => ({
        name: typeWords(type),
        color: `--${type}`,
        values: history.map((p) => p[type]),
        fill: type === 'impression',
      })),
    [history],
  );
  return (
    <Card
      title="Events per second"
      note="The last five minutes"
      actions={
        <Segmented
          label="Scale"
          value={scale}
          onPick={setScale}
          options={[
            { value: 'asinh', label: 'Logarithmic' },
            { value: 'linear', label: 'Linear' },
          ]}
        />
      }
    >
      {times.length < 2 ? (
        <Empty title="Nothing has been measured yet">The picture begins a few seconds after the start.</Empty>
      ) : (
        <Chart
          label="Events per second by type"
          times={times}
          series={series}
          format={formatRate}
          scale={scale}
          timeStyle="clock"
          height={230}
        />
      )}
    </Card>
  );
}
