/** Questions over any dimension, and the analyses. */

import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { api, query, type Query } from './client.ts';
import { useCampaignNames } from './campaigns.ts';
import type {
  AbResult,
  Cell,
  Column,
  DimensionValue,
  Explored,
  Funnel,
  Retention,
  UsersOverTime,
} from './types.ts';

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

/** Names by number. */
export interface Names {
  campaign_id: ReadonlyMap<string, string>;
  advertiser_id: ReadonlyMap<string, string>;
}

/** In which currency the amounts of a row are; `undefined` where it does not say. */
export type CurrencyOf = (columns: readonly Column[], row: readonly Cell[]) => string | undefined;

interface CatalogueWords {
  names: Names;
  /** The currency when there is only one. */
  currency: string | undefined;
  mixed: boolean;
  currencyOf: CurrencyOf;
}

/** What the catalogue says of the numbers in answers. */
export function useCatalogueWords(): CatalogueWords {
  const campaigns = useCampaignNames().data?.campaigns ?? [];
  const currencies = new Set(campaigns.map((c) => c.currency));
  const currency = currencies.size === 1 ? [...currencies][0] : undefined;
  const by = {
    campaign_id: new Map(campaigns.map((c) => [String(c.campaign_id), c.currency])),
    advertiser_id: new Map(campaigns.map((c) => [String(c.advertiser_id), c.currency])),
    currency: new Map([...currencies].map((c) => [c, c])),
  };
  return {
    names: {
      campaign_id: new Map(campaigns.map((c) => [String(c.campaign_id), c.name])),
      advertiser_id: new Map(campaigns.map((c) => [String(c.advertiser_id), c.advertiser_name ?? ''])),
    },
    currency,
    mixed: currencies.size > 1,
    currencyOf: (columns, row) => {
      const told = columns.map((column, i) =>
        column.name in by ? by[column.name as keyof typeof by].get(String(row[i] ?? '')) : undefined,
      );
      return told.find((c) => c !== undefined) ?? currency;
    },
  };
}
