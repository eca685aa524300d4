/** Campaigns: the list, one of them, and what can be changed. */

import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { api, Problem } from './client.ts';
import { useSubscription } from './live.ts';
import type {
  Adjustment,
  AuditEntry,
  Campaign,
  Kpis,
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
const POLL_LIST_LIVE_MS = 10_000;
const NAMES_MS = 60_000;
const POLL_ONE_MS = 1000;
const POLL_LIVE_MS = 5000;

async function campaignPage(cursor: string | null, signal: AbortSignal): Promise<Page<Campaign>> {
  try {
    return await api.page<Campaign>('/api/v1/campaigns', { limit: PAGE, cursor }, signal);
  } catch (error) {
    // A panel may allow shorter pages only (panel.max_limit): then its own default.
    if (!(error instanceof Problem && error.field === 'limit')) throw error;
    return api.page<Campaign>('/api/v1/campaigns', { cursor }, signal);
  }
}

async function allCampaigns(signal: AbortSignal): Promise<{ campaigns: Campaign[]; complete: boolean }> {
  const campaigns: Campaign[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const answer = await campaignPage(cursor, signal);
    campaigns.push(...answer.result);
    cursor = answer.next_cursor;
    if (cursor === null) return { campaigns, complete: true };
  }
  return { campaigns, complete: false };
}

const STOPS = `subscription Stops { stops { campaignId serving reasons } }`;

interface StopsTold {
  stops: { campaignId: number; serving: boolean; reasons: string[] };
}

const KPIS = `subscription Kpis($ids: [Int!]!) {
  campaignKpis(ids: $ids) {
    campaignId spentNanos spentTodayNanos serving reasons kpis { visits impressions clicks conversions }
  }
}`;

interface KpisTold {
  campaignKpis: {
    campaignId: number;
    spentNanos: string;
    spentTodayNanos: string;
    serving: boolean;
    reasons: string[];
    kpis: Kpis;
  };
}

function withState<C extends Pick<Campaign, 'reasons'>>(campaign: C, serving: boolean, reasons: string[]): C {
  return { ...campaign, status: serving ? 'serving' : 'stopped', reasons, reason: reasons[0] ?? null };
}

interface CampaignList {
  campaigns: Campaign[];
  complete: boolean;
}

/** Every campaign; the page sorts and filters them without asking again. Stops show up at once. */
export function useCampaigns() {
  const client = useQueryClient();
  const flows = useSubscription<StopsTold>(STOPS, {}, ({ stops }) => {
    client.setQueryData<CampaignList>(
      CAMPAIGNS_KEY,
      (old) =>
        old && {
          ...old,
          campaigns: old.campaigns.map((c) =>
            c.campaign_id === stops.campaignId ? withState(c, stops.serving, stops.reasons) : c,
          ),
        },
    );
  });
  return useQuery({
    queryKey: CAMPAIGNS_KEY,
    queryFn: ({ signal }) => allCampaigns(signal),
    refetchInterval: flows ? POLL_LIST_LIVE_MS : POLL_LIST_MS,
  });
}

/** The same list where only names and currencies are wanted. */
export function useCampaignNames() {
  return useQuery({
    queryKey: CAMPAIGNS_KEY,
    queryFn: ({ signal }) => allCampaigns(signal),
    staleTime: NAMES_MS,
  });
}

/** One campaign, kept current by the subscription; asked again for what that does not carry. */
export function useCampaign(id: number) {
  const client = useQueryClient();
  const flows = useSubscription<KpisTold>(KPIS, { ids: [id] }, ({ campaignKpis: told }) => {
    const before = client.getQueryData<Campaign>(campaignKey(id));
    client.setQueryData<Campaign>(
      campaignKey(id),
      (old) =>
        old && {
          ...withState(old, told.serving, told.reasons),
          spent_nanos: told.spentNanos,
          spent_today_nanos: told.spentTodayNanos,
          kpis: told.kpis,
        },
    );
    if (before && before.reasons.join() !== told.reasons.join()) {
      for (const key of [campaignKey(id), ['stops']]) void client.invalidateQueries({ queryKey: key });
    }
  });
  return useQuery({
    queryKey: campaignKey(id),
    queryFn: ({ signal }) => api.get<Campaign>(`/api/v1/campaigns/${id}`, {}, signal),
    refetchInterval: flows ? POLL_LIVE_MS : POLL_ONE_MS,
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
      client.setQueryData<CampaignList>(
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
