/** Stop or resume, and the budget, for those who may; opened from a list's row or the campaign's page. */

import { CircleStop, Play, WalletMinimal } from 'lucide-react';
import { useState } from 'react';
import type { Campaign } from '../../api/types.ts';
import { useMay } from '../../app/session.tsx';
import { Button } from '../../ui/Button.tsx';
import { BudgetDialog } from './BudgetDialog.tsx';
import { StopDialog } from './StopDialog.tsx';

export function CampaignActions({ campaign, compact }: { campaign: Campaign; compact?: boolean }) {
  const may = useMay('operator');
  const [open, setOpen] = useState<'stop' | 'resume' | 'budget' | null>(null);
  const close = () => setOpen(null);
  if (!may) return null;
  const byHand = campaign.reasons.includes('operator');
  const name = compact ? ` ${campaign.name}` : '';
  return (
    <>
      <Button
        small={compact}
        look={compact ? 'ghost' : 'secondary'}
        icon={<WalletMinimal aria-hidden="true" />}
        aria-label={`Change the budget${name}`}
        title="Change the budget"
        onClick={() => setOpen('budget')}
      >
        {compact ? null : 'Budget'}
      </Button>
      {byHand ? (
        <Button
          small={compact}
          look={compact ? 'ghost' : 'primary'}
          icon={<Play aria-hidden="true" />}
          aria-label={`Resume${name}`}
          title="Resume"
          onClick={() => setOpen('resume')}
        >
          {compact ? null : 'Resume'}
        </Button>
      ) : (
        <Button
          small={compact}
          look={compact ? 'ghost' : 'secondary'}
          icon={<CircleStop aria-hidden="true" />}
          aria-label={`Stop${name}`}
          title="Stop"
          onClick={() => setOpen('stop')}
        >
          {compact ? null : 'Stop'}
        </Button>
      )}
      <StopDialog
        campaign={campaign}
        kind={open === 'resume' ? 'resume' : 'stop'}
        open={open === 'stop' || open === 'resume'}
        onClose={close}
      />
      <BudgetDialog campaign={campaign} open={open === 'budget'} onClose={close} />
    </>
  );
}
