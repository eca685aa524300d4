/** What all views of Explore share: the tabs, the range, the filters, a link to copy. */

import { Link2 } from 'lucide-react';
import type { ReactNode } from 'react';
import { link } from '../../lib/url.ts';
import { Button } from '../../ui/Button.tsx';
import { Page } from '../../ui/Page.tsx';
import { RangePicker } from '../../ui/RangePicker.tsx';
import { Tabs } from '../../ui/Tabs.tsx';
import { useSay } from '../../ui/Toast.tsx';
import css from './Explore.module.css';
import { FilterBar } from './FilterBar.tsx';
import type { View } from './state.ts';

const VIEWS = [
  { path: '/explore', label: 'Table' },
  { path: '/explore/funnel', label: 'Funnel' },
  { path: '/explore/cohorts', label: 'Cohorts' },
  { path: '/explore/variations', label: 'Variations' },
  { path: '/explore/users', label: 'Users' },
];

interface ExploreFrameProps {
  view: View;
  path: string;
  actions?: ReactNode;
  controls?: ReactNode;
  children: ReactNode;
}

export function ExploreFrame({ view, path, actions, controls, children }: ExploreFrameProps) {
  const say = useSay();
  const shared = Object.fromEntries(
    ['range', 'from', 'to', 'filter'].map((name) => [name, view.params.get(name)] as const),
  );
  const copy = () => {
    // A moving range is pinned, so that the link shows the same figures tomorrow.
    const url = new URL(window.location.href);
    url.searchParams.delete('range');
    url.searchParams.set('from', new Date(view.span.start).toISOString());
    url.searchParams.set('to', new Date(view.span.end).toISOString());
    navigator.clipboard.writeText(url.toString()).then(
      () => say('The link is in the clipboard; it keeps this very range.'),
      () => say('The browser did not let the link be copied: take it from the address bar.', 'bad'),
    );
  };
  return (
    <Page
      title="Explore"
      actions={
        <>
          {actions}
          <Button icon={<Link2 aria-hidden="true" />} onClick={copy}>
            Copy link
          </Button>
          <RangePicker range={view.range} span={view.span} onPick={view.setRange} />
        </>
      }
    >
      <Tabs
        label="Views of Explore"
        tabs={VIEWS.map((v) => ({ href: link(v.path, shared), label: v.label, current: v.path === path }))}
      />
      <div className={css.controls}>
        {controls}
        <FilterBar filters={view.filters} span={view.span} onChange={view.setFilters} />
      </div>
      {children}
    </Page>
  );
}
