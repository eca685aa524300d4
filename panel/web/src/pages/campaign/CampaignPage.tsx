/** One campaign: live figures, charts over any range, limits, history. */

import { Link } from 'wouter';
import { useCampaign } from '../../api/campaigns.ts';
import { Problem } from '../../api/client.ts';
import { useMay } from '../../app/session.tsx';
import { Page } from '../../ui/Page.tsx';
import { Empty, Failed, Skeleton } from '../../ui/States.tsx';
import { Acting } from '../campaigns/Acting.tsx';
import { CampaignActions } from '../campaigns/CampaignActions.tsx';
import { StatusBadge } from '../campaigns/StatusBadge.tsx';
import { BudgetsCard } from './BudgetsCard.tsx';
import { History } from './History.tsx';
import { LiveFigures } from './LiveFigures.tsx';
import { RangeCard } from './RangeCard.tsx';

const ALL = <Link href="/campaigns">Campaigns</Link>;

export default function CampaignPage({ id }: { id: string }) {
  const query = useCampaign(Number(id));
  const may = useMay('operator');
  const campaign = query.data;
  if (campaign === undefined) {
    const unknown = query.error instanceof Problem && query.error.status < 500;
    return (
      <Page title={`Campaign ${id}`} above={ALL}>
        {unknown ? (
          <Empty title="There is no such campaign">{query.error?.message}</Empty>
        ) : query.isError ? (
          <Failed error={query.error} what="The campaign" retry={() => void query.refetch()} />
        ) : (
          <Skeleton what="the campaign" lines={8} height={28} />
        )}
      </Page>
    );
  }
  return (
    <Page
      title={campaign.name}
      above={ALL}
      badge={<StatusBadge campaign={campaign} />}
      note={
        <>
          Campaign {campaign.campaign_id} ·{' '}
          <Link href={`/campaigns?advertiser=${campaign.advertiser_id}`}>
            {campaign.advertiser_name ?? `Advertiser ${campaign.advertiser_id}`}
          </Link>{' '}
          · {campaign.currency} · day in {campaign.time_zone}
          {!may && ' · stopping and budgets need the role operator'}
        </>
      }
      actions={
        <Acting>
          <CampaignActions campaign={campaign} />
        </Acting>
      }
    >
      <LiveFigures campaign={campaign} />
      <RangeCard campaign={campaign} />
      <BudgetsCard campaign={campaign} />
      <History campaign={campaign} />
    </Page>
  );
}
