import { expect, it } from 'vitest';
import type { Campaign } from '../../api/types.ts';
import { filtered, sorted } from './sorting.ts';

function campaign(id: number, changes: Partial<Campaign> = {}): Campaign {
  return {
    campaign_id: id,
    name: `c${id}`,
    advertiser_id: 1,
    currency: 'USD',
    time_zone: 'UTC',
    status: 'serving',
    reason: null,
    reasons: [],
    stops: [],
    total_budget_micros: null,
    daily_budget_micros: null,
    balance_micros: null,
    spent_nanos: '0',
    spent_today_nanos: '0',
    adjusted_nanos: '0',
    overspend_nanos: '0',
    kpis: { visits: 0, impressions: 0, clicks: 0, conversions: 0 },
    ...changes,
  };
}

const ids = (campaigns: Campaign[]) => campaigns.map((c) => c.campaign_id);

it('amounts are sorted as the integers they are, beyond what a float tells apart', () => {
  const rows = [
    campaign(1, { spent_nanos: '9007199254740993' }),
    campaign(2, { spent_nanos: '9007199254740992' }),
    campaign(3, { spent_nanos: '-1' }),
  ];
  expect(ids(sorted(rows, '-spent'))).toEqual([1, 2, 3]);
  expect(ids(sorted(rows, 'spent'))).toEqual([3, 2, 1]);
});

it('campaigns without a value come last in both directions', () => {
  const rows = [campaign(1), campaign(2, { total_budget_micros: '10', spent_nanos: '5000' })];
  expect(ids(sorted(rows, 'used'))).toEqual([2, 1]);
  expect(ids(sorted(rows, '-used'))).toEqual([2, 1]);
});

it('a filter takes name, number, advertiser, status and reason', () => {
  const rows = [
    campaign(7, { name: 'Spring sale', advertiser_name: 'Acme' }),
    campaign(8, { status: 'stopped', reason: 'operator', reasons: ['operator'], advertiser_id: 2 }),
  ];
  const all = { text: '', status: '', advertiser: '' };
  expect(ids(filtered(rows, all))).toEqual([7, 8]);
  expect(ids(filtered(rows, { ...all, text: ' SPRING ' }))).toEqual([7]);
  expect(ids(filtered(rows, { ...all, text: '8' }))).toEqual([8]);
  expect(ids(filtered(rows, { ...all, text: 'acme' }))).toEqual([7]);
  expect(ids(filtered(rows, { ...all, status: 'stopped' }))).toEqual([8]);
  expect(ids(filtered(rows, { ...all, status: 'operator' }))).toEqual([8]);
  expect(ids(filtered(rows, { ...all, status: 'balance' }))).toEqual([]);
  expect(ids(filtered(rows, { ...all, advertiser: '2' }))).toEqual([8]);
});
