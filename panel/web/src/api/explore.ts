/** Questions over any dimension, and the analyses. */

import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { api, query, type Query } from './client.ts';
import { useCampaignNames } from './campaigns.ts';
import type { AbResult, DimensionValue, Explored, Funnel, Retention, UsersOverTime } from './types.ts';

function useAsked<T>(path: string, params: Query, enabled = true) {
  return useQuery({
    queryKey: [path, params],
    queryFn: ({ signal }) => api.get<T>(path, params, signal),
    placeholderData: keepPreviousData,
    enabled,
  });
}

export const useExplore = (params: Query) => useAsked<Explored>('/api/v1/explore', params);
export const useFunnel = (params: Query) => useAsked<Funnel>('/api/v1/analytics/funnel', params);
export const useRetention = (params: Query) => useAsked<Retention>('/api/v1/analytics/retention', params);
export const useAb = (params: Query, enabled: boolean) =>
  useAsked<AbResult>('/api/v1/analytics/ab', params, enabled);
export const useUsersOverTime = (params: Query) => useAsked<UsersOverTime>('/api/v1/analytics/users', params);
export const useDimensionValues = (dimension: string, params: Query) =>
  useAsked<DimensionValue[]>(`/api/v1/dimensions/${dimension}/values`, params);

/** Where the same question comes as a file. */
export function exportUrl(params: Query, format: 'csv' | 'parquet' | 'json'): string {
  return `/api/v1/explore/export${query({ ...params, format })}`;
}

/** Campaigns' names by number, and the currency when there is only one. */
export function useCatalogueWords(): {
  names: ReadonlyMap<string, string>;
  currency: string | undefined;
  mixed: boolean;
} {
  const campaigns = useCampaignNames().data?.campaigns ?? [];
  const currencies = new Set(campaigns.map((c) => c.currency));
  return {
    names: new Map(campaigns.map((c) => [String(c.campaign_id), c.name])),
    currency: currencies.size === 1 ? [...currencies][0] : undefined,
    mixed: currencies.size > 1,
  };
}
