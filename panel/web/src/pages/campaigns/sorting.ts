/** Sorting and filtering of the campaigns that are at hand. */

import type { Campaign } from '../../api/types.ts';
import { microsAsNanos, nanos, share } from '../../lib/money.ts';
import { ratio } from '../../lib/numbers.ts';

export type SortKey =
  'name' | 'status' | 'used' | 'spent' | 'pace' | 'end' | 'impressions' | 'clicks' | 'ctr' | 'conversions';

type Sortable = string | number | bigint | null;

/** The budget that a bar shows: the total one, else today's, else the advertiser's balance. */
export function mainBudget(c: Campaign): {
  kind: 'total' | 'daily' | 'none';
  spent: bigint;
  budget: bigint | null;
} {
  const total = microsAsNanos(c.total_budget_micros);
  if (total !== null) return { kind: 'total', spent: nanos(c.spent_nanos) ?? 0n, budget: total };
  const daily = microsAsNanos(c.daily_budget_micros);
  if (daily !== null) return { kind: 'daily', spent: nanos(c.spent_today_nanos) ?? 0n, budget: daily };
  return { kind: 'none', spent: nanos(c.spent_nanos) ?? 0n, budget: null };
}

const VALUES: Record<SortKey, (c: Campaign) => Sortable> = {
  name: (c) => c.name.toLowerCase(),
  status: (c) => (c.status === 'serving' ? 'serving' : `stopped ${c.reason ?? ''}`),
  used: (c) => {
    const { spent, budget } = mainBudget(c);
    return budget === null ? null : share(spent, budget);
  },
  spent: (c) => nanos(c.spent_nanos),
  pace: (c) => nanos(c.spend_per_hour_nanos),
  end: (c) => (c.exhausted_at ? Date.parse(c.exhausted_at) : null),
  impressions: (c) => c.kpis.impressions,
  clicks: (c) => c.kpis.clicks,
  ctr: (c) => ratio(c.kpis.clicks, c.kpis.impressions),
  conversions: (c) => c.kpis.conversions,
};

/** Rows without a value come last in both directions; equal ones by number. */
export function sorted(campaigns: readonly Campaign[], sort: string): Campaign[] {
  const descending = sort.startsWith('-');
  const value = VALUES[sort.replace(/^-/, '') as SortKey] ?? VALUES.name;
  const keyed = campaigns.map((c) => ({ c, v: value(c) }));
  keyed.sort((a, b) => {
    if (a.v === null || b.v === null) {
      if (a.v === b.v) return a.c.campaign_id - b.c.campaign_id;
      return a.v === null ? 1 : -1;
    }
    if (a.v !== b.v) return a.v < b.v !== descending ? -1 : 1;
    return a.c.campaign_id - b.c.campaign_id;
  });
  return keyed.map((k) => k.c);
}

export interface CampaignFilter {
  text: string;
  /** `serving`, `stopped`, a reason, or empty for all. */
  status: string;
  advertiser: string;
}

export function filtered(campaigns: readonly Campaign[], filter: CampaignFilter): Campaign[] {
  const text = filter.text.trim().toLowerCase();
  return campaigns.filter((c) => {
    if (filter.status === 'serving' || filter.status === 'stopped') {
      if (c.status !== filter.status) return false;
    } else if (filter.status !== '' && !c.reasons.includes(filter.status)) return false;
    if (filter.advertiser !== '' && String(c.advertiser_id) !== filter.advertiser) return false;
    if (text === '') return true;
    const advertiser = c.advertiser_name?.toLowerCase() ?? '';
    return c.name.toLowerCase().includes(text) || String(c.campaign_id) === text || advertiser.includes(text);
  });
}
