/** All campaigns: sorted, filtered, with their budgets, and what can be done about them. */

import { useDeferredValue, useMemo } from 'react';
import { useCampaigns } from '../../api/campaigns.ts';
import type { Campaign } from '../../api/types.ts';
import { plural } from '../../lib/numbers.ts';
import { useParams } from '../../lib/url.ts';
import { reasonWords } from '../../lib/words.ts';
import { nextSort } from '../../ui/DataTable.tsx';
import { Select, TextField } from '../../ui/Field.tsx';
import { Page, Toolbar } from '../../ui/Page.tsx';
import { Empty, Failed, Skeleton } from '../../ui/States.tsx';
import { NARROW, useMedia } from '../../ui/useMedia.ts';
import { Acting } from './Acting.tsx';
import { CampaignCards } from './CampaignCards.tsx';
import css from './Campaigns.module.css';
import { CampaignTable } from './CampaignTable.tsx';
import { filtered, sorted } from './sorting.ts';

const STATUSES = [
  { value: '', label: 'Serving and stopped' },
  { value: 'serving', label: 'Serving' },
  { value: 'stopped', label: 'Stopped' },
  ...['operator', 'total_budget', 'daily_budget', 'balance'].map((r) => ({
    value: r,
    label: reasonWords(r),
  })),
];

const SORTS = [
  { value: 'name', label: 'Name' },
  { value: '-used', label: 'Budget used' },
  { value: '-spent', label: 'Spent' },
  { value: 'end', label: 'Used up soonest' },
  { value: '-clicks', label: 'Clicks' },
  { value: '-ctr', label: 'CTR' },
  { value: 'status', label: 'Status' },
];

function advertisers(campaigns: readonly Campaign[]) {
  const names = new Map(
    campaigns.map((c) => [String(c.advertiser_id), c.advertiser_name ?? `Advertiser ${c.advertiser_id}`]),
  );
  const options = [...names].map(([value, label]) => ({ value, label }));
  options.sort((a, b) => a.label.localeCompare(b.label));
  return [{ value: '', label: 'All advertisers' }, ...options];
}

export default function CampaignsPage() {
  return (
    <Acting>
      <Campaigns />
    </Acting>
  );
}

function Campaigns() {
  const query = useCampaigns();
  const [params, change] = useParams();
  const narrow = useMedia(NARROW);
  const sort = params.get('sort') ?? '-spent';
  const text = params.get('q') ?? '';
  const status = params.get('status') ?? '';
  const advertiser = params.get('advertiser') ?? '';
  const search = useDeferredValue(text);
  const all = query.data?.campaigns;
  const rows = useMemo(
    () => sorted(filtered(all ?? [], { text: search, status, advertiser }), sort),
    [all, search, status, advertiser, sort],
  );
  const options = useMemo(() => advertisers(all ?? []), [all]);

  return (
    <Page
      title="Campaigns"
      note={all && `${plural(rows.length, 'campaign')} of ${all.length.toLocaleString()}`}
      actions={
        <Toolbar>
          <TextField
            className={css.search}
            label="Search by name, number or advertiser"
            quiet
            type="search"
            placeholder="Name, number or advertiser"
            value={text}
            onChange={(e) => change({ q: e.target.value }, { replace: true })}
          />
          <Select
            label="Status"
            quiet
            options={STATUSES}
            value={status}
            onPick={(v) => change({ status: v })}
          />
          {options.length > 2 && (
            <Select
              label="Advertiser"
              quiet
              options={options}
              value={advertiser}
              onPick={(v) => change({ advertiser: v })}
            />
          )}
          {narrow && (
            <Select
              label="Sorted by"
              quiet
              options={SORTS}
              value={sort}
              onPick={(v) => change({ sort: v })}
            />
          )}
        </Toolbar>
      }
    >
      {query.data?.complete === false && (
        <p className={css.warning}>There are more campaigns than one list can hold; the rest is not shown.</p>
      )}
      {all === undefined ? (
        query.isError ? (
          <Failed error={query.error} what="The campaigns" retry={() => void query.refetch()} />
        ) : (
          <Skeleton what="the campaigns" lines={10} height={34} />
        )
      ) : all.length === 0 ? (
        <Empty title="There are no campaigns yet">
          Import a catalogue with <code>penstock catalogue import FILE.json</code>, or make one up with{' '}
          <code>penstock seed</code>.
        </Empty>
      ) : rows.length === 0 ? (
        <Empty title="No campaign fits">Change the search or the filters above.</Empty>
      ) : narrow ? (
        <CampaignCards campaigns={rows} />
      ) : (
        <CampaignTable campaigns={rows} sort={sort} onSort={(key) => change({ sort: nextSort(sort, key) })} />
      )}
    </Page>
  );
}
