/** Changes a campaign's budgets; an empty field takes one away. */

import { useState } from 'react';
import { useChangeCampaign } from '../../api/campaigns.ts';
import { errorWords } from '../../api/client.ts';
import type { Campaign } from '../../api/types.ts';
import { amountInput, formatMoney, microsAsNanos, nanos, parseAmount } from '../../lib/money.ts';
import { Button } from '../../ui/Button.tsx';
import { Dialog, DialogActions } from '../../ui/Dialog.tsx';
import { TextArea, TextField } from '../../ui/Field.tsx';
import { useSay } from '../../ui/Toast.tsx';
import css from './Campaigns.module.css';

interface BudgetDialogProps {
  campaign: Campaign;
  open: boolean;
  onClose: () => void;
}

export function BudgetDialog({ campaign, open, onClose }: BudgetDialogProps) {
  return (
    <Dialog title={`Budget of ${campaign.name}`} open={open} onClose={onClose}>
      <BudgetForm campaign={campaign} onClose={onClose} />
    </Dialog>
  );
}

/** Null: no budget; undefined: not an amount. */
function read(text: string): string | null | undefined {
  if (text.trim() === '') return null;
  return parseAmount(text) ?? undefined;
}

const WRONG = 'Write an amount such as 250 or 99.50, or leave it empty for no limit.';

function BudgetForm({ campaign, onClose }: Omit<BudgetDialogProps, 'open'>) {
  const [total, setTotal] = useState(amountInput(campaign.total_budget_micros));
  const [daily, setDaily] = useState(amountInput(campaign.daily_budget_micros));
  const [why, setWhy] = useState('');
  const change = useChangeCampaign();
  const say = useSay();
  const newTotal = read(total);
  const newDaily = read(daily);
  const wrong = newTotal === undefined || newDaily === undefined;
  const same = newTotal === campaign.total_budget_micros && newDaily === campaign.daily_budget_micros;
  const stops = !wrong && stopsAtOnce(campaign, newTotal, newDaily);
  return (
    <form
      className={css.form}
      onSubmit={(event) => {
        event.preventDefault();
        if (wrong) return;
        change.mutate(
          {
            kind: 'budget',
            id: campaign.campaign_id,
            total_budget_micros: newTotal,
            daily_budget_micros: newDaily,
            reason: why.trim(),
          },
          {
            onSuccess: () => {
              say(`The budget of ${campaign.name} is changed.`);
              onClose();
            },
          },
        );
      }}
    >
      <TextField
        label={`Total budget (${campaign.currency})`}
        inputMode="decimal"
        value={total}
        onChange={(e) => setTotal(e.target.value)}
        hint={`Spent so far: ${formatMoney(nanos(campaign.spent_nanos) ?? 0n, campaign.currency)}. Empty: no limit.`}
        error={newTotal === undefined ? WRONG : null}
      />
      <TextField
        label={`Daily budget (${campaign.currency}), day in ${campaign.time_zone}`}
        inputMode="decimal"
        value={daily}
        onChange={(e) => setDaily(e.target.value)}
        hint={`Spent today: ${formatMoney(nanos(campaign.spent_today_nanos) ?? 0n, campaign.currency)}. Empty: no limit.`}
        error={newDaily === undefined ? WRONG : null}
      />
      <TextArea
        label="Reason"
        hint="Shown in the audit with your name."
        required
        maxLength={500}
        value={why}
        onChange={(e) => setWhy(e.target.value)}
        error={change.isError ? errorWords(change.error) : null}
      />
      {stops && <p className={css.warning}>As much is spent already: the campaign stops at once.</p>}
      <DialogActions>
        <Button onClick={onClose}>Cancel</Button>
        <Button
          type="submit"
          look="primary"
          busy={change.isPending}
          disabled={wrong || same || why.trim() === ''}
        >
          Change the budget
        </Button>
      </DialogActions>
    </form>
  );
}

function stopsAtOnce(campaign: Campaign, total: string | null, daily: string | null): boolean {
  const reached = (spent: string, budget: string | null) => {
    const limit = microsAsNanos(budget);
    return limit !== null && (nanos(spent) ?? 0n) >= limit;
  };
  return reached(campaign.spent_nanos, total) || reached(campaign.spent_today_nanos, daily);
}
