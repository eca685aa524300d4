/** An amount: rounded for reading, every digit on hover. */

import { exactMoney, formatMoney, formatMoneyShort, nanos } from '../lib/money.ts';

interface MoneyProps {
  /** Nanos as the API gives them, or as computed. */
  nanos: string | bigint | null | undefined;
  currency?: string;
  short?: boolean;
}

export function Money({ nanos: given, currency, short }: MoneyProps) {
  const amount = typeof given === 'bigint' ? given : nanos(given);
  if (amount === null) return <span className="num">–</span>;
  return (
    <span className="num" title={exactMoney(amount, currency)}>
      {short ? formatMoneyShort(amount, currency) : formatMoney(amount, currency)}
    </span>
  );
}
