/** A campaign's budget bar: spent, of how much, and what lies past it. */

import type { Campaign } from '../../api/types.ts';
import { exactMoney, formatMoneyShort, nanos, share } from '../../lib/money.ts';
import { formatRatio } from '../../lib/numbers.ts';
import { budgetState } from '../../lib/words.ts';
import { Meter } from '../../ui/Meter.tsx';
import css from './Campaigns.module.css';
import { mainBudget } from './sorting.ts';

export function BudgetCell({ campaign }: { campaign: Campaign }) {
  const { kind, spent, budget } = mainBudget(campaign);
  const over = nanos(campaign.overspend_nanos) ?? 0n;
  const currency = campaign.currency;
  if (budget === null) {
    return (
      <span className={css.noBudget} title={exactMoney(spent, currency)}>
        {formatMoneyShort(spent, currency)} <span>no budget</span>
      </span>
    );
  }
  const used = share(spent, budget);
  return (
    <div className={css.budget}>
      <div
        className={css.budgetWords}
        title={`${exactMoney(spent, currency)} of ${exactMoney(budget, currency)}${over > 0n ? `, ${exactMoney(over, currency)} past it` : ''}`}
      >
        <span>
          {formatMoneyShort(spent, currency)}{' '}
          <span>
            of {formatMoneyShort(budget, currency)}
            {kind === 'daily' && ' today'}
          </span>
        </span>
        {over > 0n ? (
          <span className={css.over}>+{formatMoneyShort(over, currency)} over</span>
        ) : (
          <span>{used > 0 && used < 0.001 ? '<0.1%' : formatRatio(Math.min(used, 9.99))}</span>
        )}
      </div>
      <Meter value={used} tone={budgetState(spent, budget)} label={`Budget of ${campaign.name} used`} />
    </div>
  );
}
