/** Confirms a stop or a resumption and asks for the reason that the audit will show. */

import { useState } from 'react';
import { useChangeCampaign } from '../../api/campaigns.ts';
import { errorWords } from '../../api/client.ts';
import type { Campaign } from '../../api/types.ts';
import { reasonWords } from '../../lib/words.ts';
import { Button } from '../../ui/Button.tsx';
import { Dialog, DialogActions } from '../../ui/Dialog.tsx';
import { TextArea } from '../../ui/Field.tsx';
import { useSay } from '../../ui/Toast.tsx';
import css from './Campaigns.module.css';

interface StopDialogProps {
  campaign: Campaign;
  kind: 'stop' | 'resume';
  open: boolean;
  onClose: () => void;
}

export function StopDialog({ campaign, kind, open, onClose }: StopDialogProps) {
  const [why, setWhy] = useState('');
  const change = useChangeCampaign();
  const say = useSay();
  const others = campaign.reasons.filter((r) => r !== 'operator');
  const done = () => {
    change.reset();
    setWhy('');
    onClose();
  };
  return (
    <Dialog
      title={kind === 'stop' ? `Stop ${campaign.name}?` : `Resume ${campaign.name}?`}
      open={open}
      onClose={done}
    >
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault();
          change.mutate(
            { kind, id: campaign.campaign_id, reason: why.trim() },
            {
              onSuccess: (now) => {
                say(kind === 'stop' ? `${now.name} is stopped.` : resumedWords(now));
                done();
              },
            },
          );
        }}
      >
        <p>
          {kind === 'stop'
            ? 'Ad servers are told at once not to serve it. Events that are under way are still recorded and charged.'
            : others.length === 0
              ? 'Ad servers are told at once that it may be served again.'
              : `Only the stop by hand is taken away. It stays stopped: ${others.map(reasonWords).join(', ').toLowerCase()}.`}
        </p>
        <TextArea
          label="Reason"
          hint="Shown in the audit with your name."
          required
          maxLength={500}
          value={why}
          onChange={(e) => setWhy(e.target.value)}
          error={change.isError ? errorWords(change.error) : null}
        />
        <DialogActions>
          <Button onClick={done}>Cancel</Button>
          <Button
            type="submit"
            look={kind === 'stop' ? 'danger' : 'primary'}
            busy={change.isPending}
            disabled={why.trim() === ''}
          >
            {kind === 'stop' ? 'Stop the campaign' : 'Resume the campaign'}
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}

function resumedWords(campaign: Campaign): string {
  if (campaign.status === 'serving') return `${campaign.name} serves again.`;
  return `${campaign.name} is no longer stopped by hand, but stays stopped: ${campaign.reasons.map(reasonWords).join(', ')}.`;
}
