/** What the ledger has charged so far, kept current without a reload. */

import type { Campaign } from '../../api/types.ts';
import { microsAsNanos, nanos } from '../../lib/money.ts';
import { formatCount } from '../../lib/numbers.ts';
import { Money } from '../../ui/Money.tsx';
import { Stat, Stats } from '../../ui/Stat.tsx';
import { Exhaustion } from '../campaigns/Exhaustion.tsx';

export function LiveFigures({ campaign: c }: { campaign: Campaign }) {
  const over = nanos(c.overspend_nanos) ?? 0n;
  const bound = nanos(c.overspend_bound_nanos);
  const budget = microsAsNanos(c.total_budget_micros);
  return (
    <Stats label="Charged so far" small>
      <Stat
        name="Spent"
        value={<Money nanos={c.spent_nanos} currency={c.currency} short />}
        note={
          budget === null ? (
            'no total budget'
          ) : (
            <>
              of <Money nanos={budget} currency={c.currency} short />
            </>
          )
        }
      />
      <Stat
        name="Today"
        value={<Money nanos={c.spent_today_nanos} currency={c.currency} short />}
        note={
          c.daily_budget_micros === null ? (
            `day in ${c.time_zone}`
          ) : (
            <>
              of <Money nanos={microsAsNanos(c.daily_budget_micros)} currency={c.currency} short />
            </>
          )
        }
      />
      <Stat
        name="Past the budget"
        tone={over > 0n ? 'bad' : undefined}
        value={<Money nanos={over} currency={c.currency} short />}
        note={
          bound === null ? undefined : (
            <>
              at most <Money nanos={bound} currency={c.currency} /> expected
            </>
          )
        }
      />
      <Stat
        name="Per hour"
        value={<Money nanos={c.spend_per_hour_nanos} currency={c.currency} short />}
        note={<Exhaustion campaign={c} />}
      />
      <Stat name="Impressions" mark="--impression" value={formatCount(c.kpis.impressions)} note="charged" />
      <Stat name="Visits" mark="--visit" value={formatCount(c.kpis.visits)} note="charged" />
      <Stat name="Clicks" mark="--click" value={formatCount(c.kpis.clicks)} note="charged" />
      <Stat name="Conversions" mark="--conversion" value={formatCount(c.kpis.conversions)} note="charged" />
    </Stats>
  );
}
