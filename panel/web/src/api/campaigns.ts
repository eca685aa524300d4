/** Campaigns: the list, one of them, and what can be changed. */

import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { api } from './client.ts';
import { useLiveState } from './live.ts';
import type {
  Adjustment,
  AuditEntry,
  Campaign,
  LedgerRow,
  Page,
  StopChange,
  TimeseriesPoint,
} from './types.ts';
import type { Span, Step } from '../lib/range.ts';
import { iso } from '../lib/range.ts';

export const CAMPAIGNS_KEY = ['campaigns'];
export const campaignKey = (id: number) => ['campaign', id];

const PAGE = 1000;
/** Some hundred thousand campaigns would be a list that no browser should hold. */
const MOST_PAGES = 20;
const POLL_LIST_MS = 5000;
const POLL_ONE_MS = 1000;
const POLL_LIVE_MS = 15_000;

async function allCampaigns(signal: AbortSignal): Promise<{ campaigns: Campaign[]; complete: boolean }> {
  const campaigns: Campaign[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const answer: Page<Campaign> = await api.page('/api/v1/campaigns', { limit: PAGE, cursor }, signal);
    campaigns.push(...answer.result);
    cursor = answer.next_cursor;
    if (cursor === null) return { campaigns, complete: true };
  }
  return { campaigns, complete: false };
}

/** Every campaign; the page sorts and filters them without asking again. */
export function useCampaigns() {
  const live = useLiveState() === 'live';
  return useQuery({
    queryKey: CAMPAIGNS_KEY,
    queryFn: ({ signal }) => allCampaigns(signal),
    refetchInterval: live ? POLL_LIVE_MS : POLL_LIST_MS,
  });
}

export function useCampaign(id: number) {
  const live = useLiveState() === 'live';
  return useQuery({
    queryKey: campaignKey(id),
    queryFn: async ({ signal }) => await api.get<Campaign>(`/api/v1/campaigns/${id}`, {}, signal),
    refetchInterval: live ? POLL_LIVE_MS : POLL_ONE_MS,
  });
}

export function useTimeseries(id: number, span: Span | null, step: Step) {
  return useQuery({
    queryKey: ['timeseries', id, span?.start, span?.end, step.name],
    queryFn: async ({ signal }) => {
      const params = { start_time: iso(span?.start ?? 0), end_time: iso(span?.end ?? 0), step: step.name };
      const path = `/api/v1/campaigns/${id}/timeseries`;
      return api.get<TimeseriesPoint[]>(path, params, signal);
    },
    enabled: span !== null,
    placeholderData: (before) => before,
    refetchInterval: 5000,
  });
}

function usePages<R>(kind: string, path: string, params: Record<string, string>, cursor: string | null) {
  return useQuery({
    queryKey: [kind, path, params, cursor],
    queryFn: ({ signal }) => api.page<R>(path, { ...params, cursor, limit: 50 }, signal),
    placeholderData: (before) => before,
  });
}

export const useLedger = (id: number, cursor: string | null) =>
  usePages<LedgerRow>('ledger', `/api/v1/campaigns/${id}/ledger`, {}, cursor);

export const useAdjustments = (id: number, cursor: string | null) =>
  usePages<Adjustment>('adjustments', `/api/v1/campaigns/${id}/adjustments`, {}, cursor);

export const useStopHistory = (id: number, cursor: string | null) =>
  usePages<StopChange>('stops', `/api/v1/campaigns/${id}/stops`, {}, cursor);

export const useAudit = (params: Record<string, string>, cursor: string | null) =>
  usePages<AuditEntry>('audit', '/api/v1/audit', params, cursor);

export type CampaignChange =
  | { kind: 'stop' | 'resume'; id: number; reason: string }
  | {
      kind: 'budget';
      id: number;
      reason: string;
      total_budget_micros: string | null;
      daily_budget_micros: string | null;
    };

async function send(change: CampaignChange): Promise<Campaign> {
  const path = `/api/v1/campaigns/${change.id}/${change.kind}`;
  if (change.kind !== 'budget') {
    return api.post<Campaign>(path, { reason: change.reason });
  }
  const { total_budget_micros, daily_budget_micros, reason } = change;
  const body = { total_budget_micros, daily_budget_micros, ...(reason === '' ? {} : { reason }) };
  return api.put<Campaign>(path, body);
}

/** Stop, resume or a new budget; the answer is shown at once, everything derived is asked again. */
export function useChangeCampaign() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: send,
    onSuccess: (campaign) => {
      client.setQueryData<Campaign>(campaignKey(campaign.campaign_id), (old) => ({ ...old, ...campaign }));
      client.setQueryData<{ campaigns: Campaign[]; complete: boolean }>(
        CAMPAIGNS_KEY,
        (old) =>
          old && {
            ...old,
            campaigns: old.campaigns.map((c) =>
              c.campaign_id === campaign.campaign_id ? { ...c, ...campaign } : c,
            ),
          },
      );
      for (const key of ['stops', 'audit', 'now']) void client.invalidateQueries({ queryKey: [key] });
    },
  });
}
