/** Each limit that can stop the campaign, with how much of it is used. */

import type { Campaign } from '../../api/types.ts';
import { exactMoney, formatMoney, microsAsNanos, nanos, share } from '../../lib/money.ts';
import { formatRatio } from '../../lib/numbers.ts';
import { budgetState, reasonWords } from '../../lib/words.ts';
import { Badge } from '../../ui/Badge.tsx';
import { Card } from '../../ui/Card.tsx';
import { Meter } from '../../ui/Meter.tsx';
import { Time } from '../../ui/Time.tsx';
import css from './Campaign.module.css';

export function BudgetsCard({ campaign: c }: { campaign: Campaign }) {
  const balance = microsAsNanos(c.balance_micros);
  return (
    <Card title="Limits">
      <div className={css.limits}>
        <Limit
          name="Total budget"
          spent={nanos(c.spent_nanos)}
          budget={microsAsNanos(c.total_budget_micros)}
          c={c}
        />
        <Limit
          name="Daily budget"
          spent={nanos(c.spent_today_nanos)}
          budget={microsAsNanos(c.daily_budget_micros)}
          c={c}
        />
        <p className={css.limit}>
          <span>Advertiser’s balance</span>
          <span className="num" title={balance === null ? undefined : exactMoney(balance, c.currency)}>
            {balance === null ? 'no limit' : `${formatMoney(balance, c.currency)} for all campaigns`}
          </span>
        </p>
      </div>
      {c.stops.length > 0 && (
        <ul className={css.stops} aria-label="Why it is stopped">
          {c.stops.map((stop) => (
            <li key={stop.reason}>
              <Badge tone={stop.reason === 'operator' ? 'warn' : 'bad'}>{reasonWords(stop.reason)}</Badge>
              <span>
                since <Time at={stop.since} /> by {stop.who}
                {stop.note && `: ${stop.note}`}
              </span>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

interface LimitProps {
  name: string;
  spent: bigint | null;
  budget: bigint | null;
  c: Campaign;
}

function Limit({ name, spent, budget, c }: LimitProps) {
  if (budget === null || spent === null) {
    return (
      <p className={css.limit}>
        <span>{name}</span>
        <span>no limit</span>
      </p>
    );
  }
  const used = share(spent, budget);
  return (
    <div className={css.withBar}>
      <p className={css.limit}>
        <span>{name}</span>
        <span className="num" title={`${exactMoney(spent, c.currency)} of ${exactMoney(budget, c.currency)}`}>
          {formatMoney(spent, c.currency)} of {formatMoney(budget, c.currency)} ·{' '}
          {used > 0 && used < 0.001 ? '<0.1%' : formatRatio(used)}
        </span>
      </p>
      <Meter value={used} tone={budgetState(spent, budget)} label={`${name} used`} />
    </div>
  );
}
