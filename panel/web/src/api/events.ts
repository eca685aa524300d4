/** Events: the newest ones, searched ones, one in full. */

import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query';
import { api, type Query } from './client.ts';
import { useSubscription } from './live.ts';
import type { Event, EventFound, Page } from './types.ts';

const TAIL_MS = 1000;
const ARCHIVE_MS = 2000;
const TAIL_LIVE_MS = 15_000;
const TAIL_ROWS = 50;
/** How far back the tail looks: the newest events, not the newest of all time. */
const TAIL_BACK_MS = 15 * 60_000;

const TAIL_KEY = ['events', 'tail'];

const TAIL = `subscription Tail($types: [String!], $campaignId: Int) {
  events(types: $types, campaignId: $campaignId) {
    id type time received server campaignId costNanos payload log partition offset
  }
}`;

type TailEvent = Omit<Event, 'campaign_id' | 'cost_nanos'> & { campaignId: number; costNanos: string };

const place = (e: Event) => `${e.log}/${e.partition}/${e.offset}`;

/** New events before the ones that are there, each once. */
export function joined(old: readonly Event[], told: readonly Event[]): Event[] {
  const known = new Set(old.map(place));
  const fresh = told.filter((e) => !known.has(place(e)));
  const all = [...fresh, ...old];
  all.sort((a, b) => (a.time < b.time ? 1 : a.time > b.time ? -1 : 0));
  return all.slice(0, TAIL_ROWS);
}

/**
 * The newest events that fit. The subscription knows types and campaigns; other conditions are polled for.
 * `live` false pauses.
 */
export function useTail(filter: Query, live: boolean) {
  const client = useQueryClient();
  const key = [...TAIL_KEY, filter];
  const { event_type, campaign_id, ...rest } = filter;
  const known = Object.values(rest).every((v) => v === null || v === undefined || v === '');
  const variables = {
    types: event_type ? [event_type] : null,
    campaignId: campaign_id ? Number(campaign_id) : null,
  };
  const flows = useSubscription<{ events: TailEvent[] }>(
    TAIL,
    live && known ? variables : null,
    ({ events }) => {
      const told = events.map(({ campaignId, costNanos, ...e }) => ({
        ...e,
        campaign_id: campaignId,
        cost_nanos: costNanos,
      }));
      client.setQueryData<Page<Event>>(key, (old) => old && { ...old, result: joined(old.result, told) });
    },
  );
  return useQuery({
    queryKey: key,
    queryFn: ({ signal }) => {
      const start_time = new Date(Date.now() - TAIL_BACK_MS).toISOString();
      return api.page<Event>(
        '/api/v1/events',
        { ...filter, start_time, order: 'desc', limit: TAIL_ROWS },
        signal,
      );
    },
    refetchInterval: live ? (flows ? TAIL_LIVE_MS : TAIL_MS) : false,
    placeholderData: keepPreviousData,
  });
}

export function useEvents(params: Query, enabled: boolean) {
  return useQuery({
    queryKey: ['events', params],
    queryFn: ({ signal }) =>
      api.page<Event>('/api/v1/events', { ...params, order: 'desc', limit: 100 }, signal),
    placeholderData: keepPreviousData,
    enabled,
  });
}

/** Every delivery of one event; asked again until its archive file is there. */
export function useEvent(id: string) {
  return useQuery({
    queryKey: ['event', id],
    queryFn: ({ signal }) => api.get<EventFound[]>(`/api/v1/events/${encodeURIComponent(id)}`, {}, signal),
    refetchInterval: (query) =>
      query.state.data?.some((e) => e.place.archive?.found !== true) ? ARCHIVE_MS : false,
  });
}
