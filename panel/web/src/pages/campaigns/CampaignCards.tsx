/** The same campaigns for narrow screens: one card each, only those in sight are in the page. */

import { useWindowVirtualizer } from '@tanstack/react-virtual';
import { useLayoutEffect, useRef, useState } from 'react';
import { Link } from 'wouter';
import type { Campaign } from '../../api/types.ts';
import { formatShort, formatRatio, ratio } from '../../lib/numbers.ts';
import { BudgetCell } from './BudgetCell.tsx';
import { CampaignActions } from './CampaignActions.tsx';
import css from './CampaignCards.module.css';
import { Exhaustion } from './Exhaustion.tsx';
import { StatusBadge } from './StatusBadge.tsx';

const CARD_PX = 172;

export function CampaignCards({ campaigns }: { campaigns: readonly Campaign[] }) {
  const list = useRef<HTMLUListElement>(null);
  const [top, setTop] = useState(0);
  useLayoutEffect(() => setTop(list.current?.offsetTop ?? 0), []);
  const virtual = useWindowVirtualizer({
    count: campaigns.length,
    estimateSize: () => CARD_PX,
    overscan: 6,
    scrollMargin: top,
    gap: 10,
  });
  return (
    <ul ref={list} className={css.list} aria-label="Campaigns" style={{ height: virtual.getTotalSize() }}>
      {virtual.getVirtualItems().map((item) => {
        const c = campaigns[item.index];
        return (
          c && (
            <li
              key={c.campaign_id}
              ref={virtual.measureElement}
              data-index={item.index}
              className={css.card}
              aria-setsize={campaigns.length}
              aria-posinset={item.index + 1}
              style={{ transform: `translateY(${item.start - top}px)` }}
            >
              <div className={css.head}>
                <Link href={`/campaigns/${c.campaign_id}`}>{c.name}</Link>
                <StatusBadge campaign={c} />
              </div>
              <BudgetCell campaign={c} />
              <p className={css.facts}>
                {formatShort(c.kpis.impressions)} impressions · {formatShort(c.kpis.clicks)} clicks ·{' '}
                {formatRatio(ratio(c.kpis.clicks, c.kpis.impressions))} CTR
              </p>
              <div className={css.foot}>
                <span className={css.facts}>
                  Used up: <Exhaustion campaign={c} />
                </span>
                <span>
                  <CampaignActions campaign={c} compact />
                </span>
              </div>
            </li>
          )
        );
      })}
    </ul>
  );
}
