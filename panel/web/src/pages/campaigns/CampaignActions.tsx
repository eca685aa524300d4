/** Stop or resume, and the budget, for those who may; in a list's row or at the head of the campaign's page. */

import { CircleStop, Play, WalletMinimal } from 'lucide-react';
import type { ReactNode } from 'react';
import type { Campaign } from '../../api/types.ts';
import { useMay } from '../../app/session.tsx';
import { Button } from '../../ui/Button.tsx';
import { useAct } from './Acting.tsx';

export function CampaignActions({ campaign, compact = false }: { campaign: Campaign; compact?: boolean }) {
  const may = useMay('operator');
  const act = useAct();
  if (!may) return null;
  const button = (kind: 'stop' | 'resume' | 'budget', word: string, title: string, icon: ReactNode) => (
    <Button
      small={compact}
      look={compact ? 'ghost' : kind === 'resume' ? 'primary' : 'secondary'}
      icon={icon}
      aria-label={compact ? `${title} ${campaign.name}` : undefined}
      title={compact ? title : undefined}
      onClick={() => act(kind, campaign)}
    >
      {compact ? null : word}
    </Button>
  );
  return (
    <>
      {button('budget', 'Budget', 'Change the budget of', <WalletMinimal aria-hidden="true" />)}
      {campaign.reasons.includes('operator')
        ? button('resume', 'Resume', 'Resume', <Play aria-hidden="true" />)
        : button('stop', 'Stop', 'Stop', <CircleStop aria-hidden="true" />)}
    </>
  );
}
