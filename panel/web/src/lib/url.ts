/** The view lives in the address: pages read their state from it and write it back. */

import { useCallback, useMemo } from 'react';
import { useLocation, useSearch } from 'wouter';

export type Patch = Record<string, string | null | undefined>;

/** A query string with `patch` applied: null, undefined and empty take a parameter out. */
export function patched(search: string, patch: Patch): string {
  const params = new URLSearchParams(search);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null || value === undefined || value === '') params.delete(name);
    else params.set(name, value);
  }
  return params.toString();
}

/** A path with parameters: `link('/events', {type: 'click'})`. */
export function link(path: string, patch: Patch = {}): string {
  const query = patched('', patch);
  return query === '' ? path : `${path}?${query}`;
}

/** The address's parameters and how to change some of them; `replace` keeps typing out of the history. */
export function useParams(): [URLSearchParams, (patch: Patch, options?: { replace?: boolean }) => void] {
  const search = useSearch();
  const [path, navigate] = useLocation();
  const params = useMemo(() => new URLSearchParams(search), [search]);
  const change = useCallback(
    (patch: Patch, options: { replace?: boolean } = {}) => {
      // Two changes within one event must both arrive, so the current address is asked, not the rendered one.
      const query = patched(window.location.search, patch);
      navigate(query === '' ? path : `${path}?${query}`, { replace: options.replace ?? false });
    },
    [navigate, path],
  );
  return [params, change];
}

/** A comma list in one parameter. */
export function list(value: string | null): string[] {
  return value ? value.split(',').filter(Boolean) : [];
}
