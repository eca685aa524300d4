/** Whether a campaign serves, and why not. */

import type { Campaign } from '../../api/types.ts';
import { reasonWords } from '../../lib/words.ts';
import { Badge } from '../../ui/Badge.tsx';

export function StatusBadge({ campaign }: { campaign: Pick<Campaign, 'status' | 'reason' | 'reasons'> }) {
  if (campaign.status === 'serving') return <Badge tone="ok">Serving</Badge>;
  const reason = campaign.reason ?? campaign.reasons[0] ?? 'stopped';
  const more = campaign.reasons.length > 1 ? ` +${campaign.reasons.length - 1}` : '';
  return (
    <Badge tone={reason === 'operator' ? 'warn' : 'bad'} title={campaign.reasons.map(reasonWords).join(', ')}>
      {reasonWords(reason)}
      {more}
    </Badge>
  );
}
