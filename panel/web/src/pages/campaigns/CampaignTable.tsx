/** Thousands of campaigns as one table: only the rows in sight are in the page. */

import { useVirtualizer } from '@tanstack/react-virtual';
import { ArrowDown, ArrowUp } from 'lucide-react';
import { useRef } from 'react';
import { Link } from 'wouter';
import type { Campaign } from '../../api/types.ts';
import { formatCount, formatRatio, ratio } from '../../lib/numbers.ts';
import { cx } from '../../ui/cx.ts';
import { Money } from '../../ui/Money.tsx';
import { BudgetCell } from './BudgetCell.tsx';
import { CampaignActions } from './CampaignActions.tsx';
import css from './CampaignTable.module.css';
import { Exhaustion } from './Exhaustion.tsx';
import type { SortKey } from './sorting.ts';
import { StatusBadge } from './StatusBadge.tsx';

const ROW_PX = 53;

const HEADS: readonly { key: SortKey | null; label: string; numeric?: boolean }[] = [
  { key: 'name', label: 'Campaign' },
  { key: 'status', label: 'Status' },
  { key: 'used', label: 'Budget' },
  { key: 'pace', label: 'Per hour', numeric: true },
  { key: 'end', label: 'Used up' },
  { key: 'impressions', label: 'Impressions', numeric: true },
  { key: 'clicks', label: 'Clicks', numeric: true },
  { key: 'ctr', label: 'CTR', numeric: true },
  { key: 'conversions', label: 'Conv.', numeric: true },
  { key: null, label: 'Actions' },
];

interface CampaignTableProps {
  campaigns: readonly Campaign[];
  sort: string;
  onSort: (key: string) => void;
}

export function CampaignTable({ campaigns, sort, onSort }: CampaignTableProps) {
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: campaigns.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_PX,
    overscan: 12,
  });
  const items = virtual.getVirtualItems();
  const above = items[0]?.start ?? 0;
  const below = virtual.getTotalSize() - (items.at(-1)?.end ?? 0);
  const key = sort.replace(/^-/, '');
  return (
    // A scrolling region must be reachable by keyboard.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div ref={box} className={css.box} role="region" aria-label="Campaigns" tabIndex={0}>
      <table className={css.table} aria-rowcount={campaigns.length + 1}>
        <thead>
          <tr aria-rowindex={1}>
            {HEADS.map((head) => (
              <th
                key={head.label}
                scope="col"
                className={cx(head.numeric && css.numeric)}
                aria-sort={head.key === key ? (sort.startsWith('-') ? 'descending' : 'ascending') : undefined}
              >
                {head.key === null ? (
                  <span className="sr-only">{head.label}</span>
                ) : (
                  <button type="button" onClick={() => onSort(head.key ?? 'name')}>
                    {head.label}
                    {head.key === key &&
                      (sort.startsWith('-') ? (
                        <ArrowDown aria-hidden="true" />
                      ) : (
                        <ArrowUp aria-hidden="true" />
                      ))}
                  </button>
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {above > 0 && (
            <tr aria-hidden="true">
              <td colSpan={HEADS.length} style={{ height: above, padding: 0 }} />
            </tr>
          )}
          {items.map((item) => {
            const campaign = campaigns[item.index];
            return campaign && <Row key={campaign.campaign_id} campaign={campaign} index={item.index + 2} />;
          })}
          {below > 0 && (
            <tr aria-hidden="true">
              <td colSpan={HEADS.length} style={{ height: below, padding: 0 }} />
            </tr>
          )}
        </tbody>
      </table>
    </div>
  );
}

function Row({ campaign: c, index }: { campaign: Campaign; index: number }) {
  return (
    <tr aria-rowindex={index} className={css.row}>
      <th scope="row" className={css.name}>
        <Link href={`/campaigns/${c.campaign_id}`}>{c.name}</Link>
        <span>
          {c.campaign_id} · {c.advertiser_name ?? `Advertiser ${c.advertiser_id}`}
        </span>
      </th>
      <td>
        <StatusBadge campaign={c} />
      </td>
      <td className={css.budget}>
        <BudgetCell campaign={c} />
      </td>
      <td className={css.numeric}>
        <Money nanos={c.spend_per_hour_nanos} currency={c.currency} short />
      </td>
      <td>
        <Exhaustion campaign={c} />
      </td>
      <td className={css.numeric}>{formatCount(c.kpis.impressions)}</td>
      <td className={css.numeric}>{formatCount(c.kpis.clicks)}</td>
      <td className={css.numeric}>{formatRatio(ratio(c.kpis.clicks, c.kpis.impressions))}</td>
      <td className={css.numeric}>{formatCount(c.kpis.conversions)}</td>
      <td className={css.actions}>
        <CampaignActions campaign={c} compact />
      </td>
    </tr>
  );
}
