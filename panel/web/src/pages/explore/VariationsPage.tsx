/** Variations against each other, with intervals and a test: which one is better, and is it chance. */

import { useCampaignNames } from '../../api/campaigns.ts';
import { useAb } from '../../api/explore.ts';
import type { AbComparison, AbResult, AbVariation } from '../../api/types.ts';
import { formatCount, formatRatio } from '../../lib/numbers.ts';
import { iso } from '../../lib/range.ts';
import { Badge } from '../../ui/Badge.tsx';
import { Card } from '../../ui/Card.tsx';
import { DataTable, type TableColumn } from '../../ui/DataTable.tsx';
import { Select } from '../../ui/Field.tsx';
import { Empty, Failed, Skeleton } from '../../ui/States.tsx';
import css from './Explore.module.css';
import { ExploreFrame } from './ExploreFrame.tsx';
import { useView, writeFilters } from './state.ts';

const METRICS = [
  { value: 'clicks_per_impression', label: 'Clicks per impression' },
  { value: 'conversions_per_click', label: 'Conversions per click' },
  { value: 'conversions_per_user', label: 'Conversions per user' },
] as const;

export default function VariationsPage() {
  const view = useView();
  const campaigns = useCampaignNames().data?.campaigns ?? [];
  const metric = METRICS.find((m) => m.value === view.params.get('metric'))?.value ?? 'clicks_per_impression';
  const campaign = view.params.get('campaign_id') ?? String(campaigns[0]?.campaign_id ?? '');
  const query = useAb(
    {
      start_time: iso(view.span.start),
      end_time: iso(view.span.end),
      campaign_id: campaign,
      metric,
      filter: writeFilters(view.filters),
    },
    campaign !== '',
  );
  const data = query.data;
  return (
    <ExploreFrame
      view={view}
      path="/explore/variations"
      controls={
        <>
          <Select
            label="Campaign"
            quiet
            options={campaigns.map((c) => ({ value: String(c.campaign_id), label: c.name }))}
            value={campaign}
            onPick={(v) => view.change({ campaign_id: v })}
          />
          <Select
            label="Measured by"
            quiet
            options={METRICS}
            value={metric}
            onPick={(v) => view.change({ metric: v })}
          />
        </>
      }
    >
      {query.isError && data === undefined ? (
        <Failed error={query.error} what="The comparison" retry={() => void query.refetch()} />
      ) : campaign === '' ? (
        <Empty title="There is no campaign to compare variations of" />
      ) : data === undefined ? (
        <Skeleton what="the comparison" lines={5} height={26} />
      ) : data.variations.length === 0 ? (
        <Card>
          <Empty title="No variation in this range">
            Variations come from <code>payload.variation_id</code> of the campaign’s events.
          </Empty>
        </Card>
      ) : (
        <Result data={data} />
      )}
    </ExploreFrame>
  );
}

function Result({ data }: { data: AbResult }) {
  const low = Math.min(...data.variations.map((v) => v.interval?.[0] ?? v.rate ?? 0));
  const high = Math.max(...data.variations.map((v) => v.interval?.[1] ?? v.rate ?? 0));
  const scale = (value: number) => (high > low ? ((value - low) / (high - low)) * 100 : 50);
  const columns: readonly TableColumn<AbVariation>[] = [
    {
      key: 'variation',
      head: 'Variation',
      rowHead: true,
      cell: (v) => (
        <>
          {v.variation_id || 'Not given'} {v.variation_id === data.control && <Badge>control</Badge>}
        </>
      ),
    },
    { key: 'trials', head: 'Trials', numeric: true, cell: (v) => formatCount(v.trials) },
    { key: 'successes', head: 'Successes', numeric: true, cell: (v) => formatCount(v.successes) },
    { key: 'rate', head: 'Rate', numeric: true, cell: (v) => formatRatio(v.rate) },
    {
      key: 'interval',
      head: '95% interval',
      cell: (v) =>
        v.interval && (
          <div className={css.interval}>
            <span className="sr-only">
              {formatRatio(v.interval[0])} to {formatRatio(v.interval[1])}
            </span>
            <span
              className={css.band}
              style={{
                left: `${scale(v.interval[0])}%`,
                width: `${scale(v.interval[1]) - scale(v.interval[0])}%`,
              }}
            />
            <span className={css.dot} style={{ left: `${scale(v.rate ?? 0)}%` }} />
          </div>
        ),
    },
  ];
  const compared: readonly TableColumn<AbComparison>[] = [
    {
      key: 'variation',
      head: 'Against the control',
      rowHead: true,
      cell: (c) => c.variation_id || 'Not given',
    },
    { key: 'verdict', head: 'Verdict', cell: (c) => <Verdict comparison={c} /> },
    { key: 'relative', head: 'Change', numeric: true, cell: (c) => signed(c.relative) },
    { key: 'difference', head: 'Difference', numeric: true, cell: (c) => signed(c.difference) },
    {
      key: 'interval',
      head: 'Interval of the difference',
      numeric: true,
      cell: (c) => (c.interval ? `${signed(c.interval[0])} to ${signed(c.interval[1])}` : '–'),
    },
    {
      key: 'p',
      head: 'p',
      numeric: true,
      cell: (c) => (c.p_value === null ? '–' : c.p_value.toPrecision(2)),
    },
  ];
  return (
    <>
      <Card title="Rates" flush>
        <DataTable
          label="Rates of the variations"
          columns={columns}
          rows={data.variations}
          rowKey={(v) => v.variation_id}
        />
      </Card>
      {data.comparisons.length > 0 && (
        <Card
          title="Comparison"
          note="Two-sided z-test of two proportions, computed by ClickHouse. Looking often and stopping when it pleases makes chance look like an effect."
          flush
        >
          <DataTable
            label="Comparison"
            columns={compared}
            rows={data.comparisons}
            rowKey={(c) => c.variation_id}
          />
        </Card>
      )}
    </>
  );
}

function signed(value: number | null): string {
  return value === null ? '–' : `${value > 0 ? '+' : ''}${formatRatio(value)}`;
}

function Verdict({ comparison }: { comparison: AbComparison }) {
  if (!comparison.significant) return <Badge>may be chance</Badge>;
  return comparison.difference > 0 ? <Badge tone="ok">better</Badge> : <Badge tone="bad">worse</Badge>;
}
