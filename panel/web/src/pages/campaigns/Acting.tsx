/**
 * The dialogs for stopping, resuming and budgets: one of each for a whole page, so that a row which leaves the list
 * while somebody types does not take the dialog with it.
 */

import { createContext, useContext, useState, type ReactNode } from 'react';
import type { Campaign } from '../../api/types.ts';
import { BudgetDialog } from './BudgetDialog.tsx';
import { StopDialog } from './StopDialog.tsx';

type Kind = 'stop' | 'resume' | 'budget';
type Act = (kind: Kind, campaign: Campaign) => void;

const ActContext = createContext<Act>(() => undefined);

export function Acting({ children }: { children: ReactNode }) {
  const [acted, setActed] = useState<{ kind: Kind; campaign: Campaign; open: boolean } | null>(null);
  const close = () => setActed((was) => was && { ...was, open: false });
  return (
    <ActContext.Provider value={(kind, campaign) => setActed({ kind, campaign, open: true })}>
      {children}
      {acted && (
        <>
          <StopDialog
            campaign={acted.campaign}
            kind={acted.kind === 'resume' ? 'resume' : 'stop'}
            open={acted.open && acted.kind !== 'budget'}
            onClose={close}
          />
          <BudgetDialog
            campaign={acted.campaign}
            open={acted.open && acted.kind === 'budget'}
            onClose={close}
          />
        </>
      )}
    </ActContext.Provider>
  );
}

export function useAct(): Act {
  return useContext(ActContext);
}
