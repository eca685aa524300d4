/** Whether data can be trusted: dead letters, duplicates, late events, reconciliation. */

import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { api, type Query } from './client.ts';
import type { DeadLetter, Quality, Reconciliation, Replayed, WindowRow } from './types.ts';

export function useQuality(params: Query) {
  return useQuery({
    queryKey: ['quality', params],
    queryFn: ({ signal }) => api.get<Quality>('/api/v1/quality', params, signal),
    placeholderData: keepPreviousData,
  });
}

export function useDeadLetters(params: Query) {
  return useQuery({
    queryKey: ['dead', params],
    queryFn: ({ signal }) => api.page<DeadLetter>('/api/v1/dead', { ...params, limit: 50 }, signal),
    placeholderData: keepPreviousData,
  });
}

export function useDeadLetter(id: string | null) {
  return useQuery({
    queryKey: ['dead', id],
    queryFn: ({ signal }) => api.get<DeadLetter>(`/api/v1/dead/${encodeURIComponent(id ?? '')}`, {}, signal),
    enabled: id !== null,
  });
}

/** Which letters, and `to`: the one sink that their records go to; all when left out. */
export type Replay = ({ ids: string[] } | { sink: string; code: string; limit: number }) & { to?: string };

export function useReplay() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (what: Replay) => api.post<Replayed>('/api/v1/dead/replay', what),
    onSuccess: () => {
      for (const key of ['dead', 'quality', 'now']) void client.invalidateQueries({ queryKey: [key] });
    },
  });
}

export function useReconcile() {
  return useMutation({
    mutationFn: () => api.post<Reconciliation>('/api/v1/reconcile', { wait_s: 30 }),
  });
}

export function useWindows() {
  return useQuery({
    queryKey: ['windows'],
    queryFn: ({ signal }) => api.page<WindowRow>('/api/v1/windows', { limit: 200 }, signal),
    refetchInterval: 5000,
  });
}
