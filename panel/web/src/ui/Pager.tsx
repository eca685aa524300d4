/** Back and forth through a list whose pages are known by cursor only. */

import { ChevronLeft, ChevronRight } from 'lucide-react';
import { Button } from './Button.tsx';
import css from './Pager.module.css';

interface PagerProps {
  next: string | null;
  /** The cursors of the pages gone through; the last one is shown. */
  cursors: readonly (string | null)[];
  onCursors: (cursors: readonly (string | null)[]) => void;
}

export function Pager({ next, cursors, onCursors }: PagerProps) {
  if (next === null && cursors.length <= 1) return null;
  return (
    <nav className={css.pager} aria-label="Pages of the list">
      <Button
        small
        icon={<ChevronLeft aria-hidden="true" />}
        disabled={cursors.length <= 1}
        onClick={() => onCursors(cursors.slice(0, -1))}
      >
        Back
      </Button>
      <span>Page {cursors.length}</span>
      <Button
        small
        disabled={next === null}
        onClick={() => {
          if (next !== null) onCursors([...cursors, next]);
        }}
      >
        Next
        <ChevronRight aria-hidden="true" />
      </Button>
    </nav>
  );
}
