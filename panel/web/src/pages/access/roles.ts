/** Roles in words. */

import type { Role } from '../../api/types.ts';

export const ROLES: readonly { value: Role; label: string }[] = [
  { value: 'viewer', label: 'Viewer: sees everything' },
  { value: 'operator', label: 'Operator: stops, budgets, replays' },
  { value: 'admin', label: 'Admin: catalogue, users, tokens' },
];
