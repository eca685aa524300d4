/** The frame around every page: navigation, who is signed in, the banner when what is shown is old. */

import { Menu } from 'lucide-react';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { useLocation } from 'wouter';
import mark from '../assets/mark.svg';
import { Button } from '../ui/Button.tsx';
import { Dialog } from '../ui/Dialog.tsx';
import { Banner } from './Banner.tsx';
import { Navigation } from './Navigation.tsx';
import css from './Shell.module.css';
import { Viewer } from './Viewer.tsx';

export function Shell({ children }: { children: ReactNode }) {
  const [drawer, setDrawer] = useState(false);
  const [path] = useLocation();
  const main = useRef<HTMLElement>(null);
  const last = useRef(path);

  // A new page starts at its head, for the eye and for the screen reader.
  useEffect(() => {
    if (last.current === path) return;
    last.current = path;
    setDrawer(false);
    window.scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [path]);

  return (
    <div className={css.shell}>
      <a href="#main" className={css.skip}>
        Skip to the page
      </a>
      <header className={css.bar}>
        <Button look="ghost" icon={<Menu />} aria-label="Navigation" onClick={() => setDrawer(true)} />
        <Brand />
      </header>
      <aside className={css.side} aria-label="Penstock">
        <Brand />
        <Navigation />
        <Viewer />
      </aside>
      <Dialog title="Penstock" open={drawer} onClose={() => setDrawer(false)} side>
        <Navigation />
        <Viewer />
      </Dialog>
      <main id="main" ref={main} tabIndex={-1} className={css.main}>
        <Banner />
        {children}
      </main>
    </div>
  );
}

function Brand() {
  return (
    <div className={css.brand}>
      <img src={mark} alt="" width={24} height={24} />
      <span>Penstock</span>
    </div>
  );
}
