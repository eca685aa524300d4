/** When the budget will be gone at the present pace. */

import type { Campaign } from '../../api/types.ts';
import { useNow } from '../../app/clock.ts';
import { utcTitle } from '../../lib/time.ts';
import { exhaustion } from '../../lib/words.ts';
import css from './Campaigns.module.css';

export function Exhaustion({ campaign }: { campaign: Campaign }) {
  const { words, soon } = exhaustion(campaign, useNow(10_000));
  return (
    <span
      className={soon ? css.soon : css.quiet}
      title={campaign.exhausted_at ? utcTitle(campaign.exhausted_at) : undefined}
    >
      {words}
    </span>
  );
}
