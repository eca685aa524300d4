/** Events: the newest ones, searched ones, one in full. */

import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { api, type Query } from './client.ts';
import type { Event, EventFound } from './types.ts';

const TAIL_MS = 1000;
const TAIL_ROWS = 50;
/** How far back the tail looks: the newest events, not the newest of all time. */
const TAIL_BACK_MS = 15 * 60_000;

export const TAIL_KEY = ['events', 'tail'];

/** The newest events that fit, asked for again every second; `live` false pauses. */
export function useTail(filter: Query, live: boolean) {
  return useQuery({
    queryKey: [...TAIL_KEY, filter],
    queryFn: ({ signal }) => {
      const start_time = new Date(Date.now() - TAIL_BACK_MS).toISOString();
      return api.page<Event>(
        '/api/v1/events',
        { ...filter, start_time, order: 'desc', limit: TAIL_ROWS },
        signal,
      );
    },
    refetchInterval: live ? TAIL_MS : false,
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

export function useEvent(id: string) {
  return useQuery({
    queryKey: ['event', id],
    queryFn: ({ signal }) => api.get<EventFound[]>(`/api/v1/events/${encodeURIComponent(id)}`, {}, signal),
  });
}
