/** The pages by name. */

import {
  Activity,
  ChartColumn,
  KeyRound,
  ListFilter,
  Megaphone,
  ScrollText,
  ShieldCheck,
  Users,
} from 'lucide-react';
import type { ComponentType } from 'react';
import { Link, useLocation } from 'wouter';
import css from './Navigation.module.css';
import { useMay, useSession } from './session.tsx';

interface Entry {
  href: string;
  label: string;
  icon: ComponentType<{ 'aria-hidden': 'true' }>;
}

const PAGES: readonly Entry[] = [
  { href: '/now', label: 'Now', icon: Activity },
  { href: '/campaigns', label: 'Campaigns', icon: Megaphone },
  { href: '/explore', label: 'Explore', icon: ChartColumn },
  { href: '/events', label: 'Events', icon: ListFilter },
  { href: '/quality', label: 'Data quality', icon: ShieldCheck },
  { href: '/audit', label: 'Audit', icon: ScrollText },
];

const ADMIN: readonly Entry[] = [
  { href: '/users', label: 'Users', icon: Users },
  { href: '/tokens', label: 'API tokens', icon: KeyRound },
];

export function Navigation() {
  const admin = useMay('admin');
  const { open } = useSession();
  return (
    <nav aria-label="Pages" className={css.nav}>
      <Entries entries={PAGES} />
      {admin && !open && (
        <>
          <p className={css.group}>Access</p>
          <Entries entries={ADMIN} />
        </>
      )}
    </nav>
  );
}

function Entries({ entries }: { entries: readonly Entry[] }) {
  const [path] = useLocation();
  return (
    <ul>
      {entries.map(({ href, label, icon: Icon }) => {
        const here = path === href || path.startsWith(`${href}/`);
        return (
          <li key={href}>
            <Link href={href} className={css.entry} aria-current={here ? 'page' : undefined}>
              <Icon aria-hidden="true" />
              {label}
            </Link>
          </li>
        );
      })}
    </ul>
  );
}
