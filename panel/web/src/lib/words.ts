/** What the system's codes mean, in words. */

import type { Campaign, EventType } from '../api/types.ts';
import { share } from './money.ts';
import { formatDuration, formatDurationShort } from './time.ts';

const REASONS: Record<string, string> = {
  operator: 'Stopped by hand',
  total_budget: 'Total budget used up',
  daily_budget: 'Daily budget used up',
  balance: 'Advertiser’s balance used up',
  overflow: 'Sum too large to count',
};

export function reasonWords(reason: string): string {
  return REASONS[reason] ?? reason.replaceAll('_', ' ');
}

const TYPES: Record<EventType, string> = {
  impression: 'Impressions',
  visit: 'Visits',
  click: 'Clicks',
  conversion: 'Conversions',
};

export function typeWords(type: string): string {
  return TYPES[type as EventType] ?? type;
}

const DEAD: Record<string, string> = {
  corrupt: 'The record’s checksum does not fit',
  bad_frame: 'The frame around the record cannot be read',
  unknown_schema: 'Its schema is not known',
  bad_body: 'The record does not decode',
  invalid: 'A field holds what it must not',
};

export function deadWords(code: string): string {
  return DEAD[code] ?? code.replaceAll('_', ' ');
}

const SINKS: Record<string, string> = { statistics: 'Statistics', balances: 'Balances', archive: 'Archive' };

export function sinkWords(sink: string): string {
  return SINKS[sink] ?? sink;
}

const ACTIONS: Record<string, string> = {
  stop: 'stopped',
  resume: 'resumed',
  set_budget: 'changed the budget of',
  set_balance: 'changed the balance of',
  adjust: 'adjusted',
  import: 'imported',
  skip: 'skipped',
  login: 'signed in',
  login_failed: 'failed to sign in',
  logout: 'signed out',
};

export function actionWords(action: string): string {
  return ACTIONS[action] ?? action.replaceAll('_', ' ');
}

/** When the budget will be gone, at the present pace. `soon` asks for attention: less than six hours. */
export function exhaustion(
  campaign: Pick<
    Campaign,
    'status' | 'reasons' | 'exhausted_at' | 'total_budget_micros' | 'daily_budget_micros'
  >,
  now: number,
): { words: string; soon: boolean } {
  const budgets = campaign.total_budget_micros !== null || campaign.daily_budget_micros !== null;
  if (campaign.reasons.some((r) => r.endsWith('_budget') || r === 'balance'))
    return { words: 'used up', soon: false };
  if (campaign.status === 'stopped') return { words: 'not spending', soon: false };
  if (!campaign.exhausted_at) return { words: budgets ? 'not at this pace' : 'no limit', soon: false };
  const seconds = (Date.parse(campaign.exhausted_at) - now) / 1000;
  if (seconds <= 60) return { words: 'within a minute', soon: true };
  if (seconds > 365 * 86_400) return { words: 'in more than a year', soon: false };
  const words = seconds < 2 * 86_400 ? formatDuration(seconds) : formatDurationShort(seconds);
  return { words: `in ${words}`, soon: seconds < 6 * 3600 };
}

/** How much of a budget is gone: `fine`, `near` (90 %) or `over`. */
export function budgetState(spent: bigint, budget: bigint): 'fine' | 'near' | 'over' {
  const part = share(spent, budget);
  return part >= 1 ? 'over' : part >= 0.9 ? 'near' : 'fine';
}
