/** Short words about what was just done, read out and gone after a while. */

import { createContext, useCallback, useContext, useMemo, useRef, useState, type ReactNode } from 'react';
import { cx } from './cx.ts';
import css from './Toast.module.css';

type Say = (words: string, tone?: 'ok' | 'bad') => void;

const ToastContext = createContext<Say>(() => undefined);
const SHOWN_MS = 6000;

export function Toasts({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<{ id: number; words: string; tone: 'ok' | 'bad' }[]>([]);
  const next = useRef(0);
  const say = useCallback<Say>((words, tone = 'ok') => {
    const id = next.current++;
    setToasts((all) => [...all.slice(-3), { id, words, tone }]);
    window.setTimeout(() => setToasts((all) => all.filter((t) => t.id !== id)), SHOWN_MS);
  }, []);
  const value = useMemo(() => say, [say]);
  return (
    <ToastContext.Provider value={value}>
      {children}
      <div className={css.stack} role="status" aria-live="polite">
        {toasts.map((toast) => (
          <p key={toast.id} className={cx(css.toast, toast.tone === 'bad' && css.bad)}>
            {toast.words}
          </p>
        ))}
      </div>
    </ToastContext.Provider>
  );
}

export function useSay(): Say {
  return useContext(ToastContext);
}
