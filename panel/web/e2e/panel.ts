/** What the tests do in the pages, in words. */

import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import type { System } from './system.ts';

export const PASSWORD = 'a-password-of-its-own-9';

/** Notes everything that the browser complains about: script errors, refused styles and scripts. */
export function complaints(page: Page): string[] {
  const found: string[] = [];
  page.on('pageerror', (error) => found.push(error.message));
  page.on('console', (message) => {
    // Answers that the pages expect (not signed in, not allowed) are logged by the browser itself.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      found.push(message.text());
  });
  return found;
}

export async function signIn(page: Page, system: System, name: string, password: string): Promise<void> {
  await page.goto(system.panel);
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

export async function replacePassword(page: Page, current: string, next: string): Promise<void> {
  await page.getByRole('heading', { name: 'Choose a password of your own' }).waitFor();
  await page.getByLabel('Current password').fill(current);
  await page.getByLabel('New password', { exact: true }).fill(next);
  await page.getByLabel('New password again').fill(next);
  await page.getByRole('button', { name: 'Change the password' }).click();
  await page.getByRole('heading', { name: 'Now', level: 1 }).waitFor();
}

/** The number that a figure shows. */
export async function figure(page: Page, section: string, name: string): Promise<number> {
  const text = await page
    .getByRole('region', { name: section })
    .locator('div', { has: page.locator('dt', { hasText: new RegExp(`^${name}$`) }) })
    .locator('dd')
    .first()
    .innerText();
  const value = Number(text.replace(/[^\d.-]/g, ''));
  assert.ok(Number.isFinite(value), `${name} shows ${text}`);
  return value;
}

/** A change as the page itself would send it, for what its buttons do not offer. */
export async function send(
  page: Page,
  method: string,
  path: string,
  body: object,
): Promise<{ status: number; code: string }> {
  return page.evaluate(
    async ([m, p, b]) => {
      const session = (await (await fetch('/api/v1/session')).json()) as { result: { csrf: string | null } };
      const response = await fetch(p, {
        method: m,
        headers: { 'content-type': 'application/json', 'x-csrf-token': session.result.csrf ?? '' },
        body: b,
      });
      const answer = (await response.json().catch(() => ({}))) as { code?: string };
      return { status: response.status, code: answer.code ?? '' };
    },
    [method, path, JSON.stringify(body)] as const,
  );
}
