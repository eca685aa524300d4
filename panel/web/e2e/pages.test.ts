/** Every page, in both themes and widths: nothing serious for axe, nothing too wide, nothing that the CSP refuses. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { openBrowser, type Browser } from './browser.ts';
import { complaints } from './panel.ts';
import { deadLetters, ENDLESS, events, startSystem, until, type System } from './system.ts';

let system: System;
const known = randomUUID();

const PAGES: readonly { path: string; ready: (page: Page) => Promise<void> }[] = [
  { path: '/now', ready: (p) => p.getByRole('heading', { name: 'Last stops' }).waitFor() },
  { path: '/campaigns', ready: (p) => p.getByRole('link', { name: ENDLESS.name }).waitFor() },
  {
    path: `/campaigns/${ENDLESS.id}?range=1h&compare=1`,
    ready: (p) => p.getByRole('region', { name: 'Ledger' }).waitFor(),
  },
  {
    path: `/campaigns/${ENDLESS.id}?tab=stops`,
    ready: (p) =>
      p
        .getByText('It has never been stopped')
        .or(p.getByRole('region', { name: 'Stops, table' }))
        .waitFor(),
  },
  { path: '/explore?range=1h', ready: (p) => p.getByRole('region', { name: 'Result' }).waitFor() },
  { path: '/explore?range=1h&step=1m', ready: (p) => p.getByRole('region', { name: 'Result' }).waitFor() },
  { path: '/explore/funnel?range=1h', ready: (p) => p.getByRole('heading', { name: 'Funnel' }).waitFor() },
  {
    path: '/explore/cohorts?range=7d',
    ready: (p) => p.getByRole('heading', { name: 'Retention' }).waitFor(),
  },
  {
    path: `/explore/variations?range=1h&campaign_id=${ENDLESS.id}`,
    ready: (p) => p.getByRole('heading', { name: 'Rates' }).waitFor(),
  },
  {
    path: '/explore/users?range=1h',
    ready: (p) => p.getByRole('heading', { name: 'Unique users' }).waitFor(),
  },
  { path: '/events', ready: (p) => p.getByRole('region', { name: 'Events, table' }).waitFor() },
  {
    path: '/events?mode=search',
    ready: (p) => p.getByRole('region', { name: 'Events, table' }).waitFor(),
  },
  { path: `/events/${known}`, ready: (p) => p.getByRole('heading', { name: 'Where it lies' }).waitFor() },
  { path: '/quality', ready: (p) => p.getByRole('heading', { name: 'Late events' }).waitFor() },
  {
    path: '/quality?dead_sink=statistics&dead_code=unknown_schema',
    ready: (p) => p.getByRole('region', { name: 'Dead letters, table' }).waitFor(),
  },
  { path: '/audit', ready: (p) => p.getByRole('region', { name: 'Audit' }).waitFor() },
  { path: '/users', ready: (p) => p.getByText('The panel is open without login').waitFor() },
  { path: '/nowhere', ready: (p) => p.getByText('There is no such page').waitFor() },
];

interface Finding {
  id: string;
  impact?: string | null;
  nodes: { html: string; failureSummary?: string }[];
}

/** What axe calls serious or critical. It is evaluated, not loaded: the CSP would refuse a script of another origin. */
async function serious(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const findings = await page.evaluate(async () => {
    const { axe: run } = window as unknown as { axe: { run: () => Promise<{ violations: Finding[] }> } };
    return (await run.run()).violations;
  });
  return findings
    .filter((f) => f.impact === 'serious' || f.impact === 'critical')
    .map((f) => `${f.id}: ${f.nodes.map((n) => `${n.html} ${n.failureSummary ?? ''}`).join('; ')}`);
}

before(async () => {
  system = await startSystem('open', (data) => deadLetters(data, randomUUID(), randomUUID()));
  await system.post([
    ...events(ENDLESS.tag, 600),
    { type: 'click', id: known, payload: { tag: ENDLESS.tag } },
  ]);
  await until('the events in ClickHouse', async () => {
    return (await system.sql(`SELECT count() FROM penstock.events WHERE id = '${known}'`)).trim() === '1';
  });
});

after(async () => {
  await system?.stop();
});

for (const theme of ['light', 'dark'] as const) {
  describe(`in the ${theme} theme`, () => {
    let browser: Browser;
    before(async () => {
      browser = await openBrowser({ theme });
    });
    after(async () => {
      await browser?.close();
    });

    for (const { path, ready } of PAGES) {
      test(`${path.replace(known, '{id}')} can be used by everybody`, async () => {
        const page = await browser.context.newPage();
        const found = complaints(page);
        await page.goto(system.panel + path);
        await ready(page);
        assert.deepEqual(await serious(page), [], 'wide');
        await page.setViewportSize({ width: 360, height: 740 });
        await ready(page);
        const surplus = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        assert.ok(surplus <= 0, `${surplus} px wider than a screen of 360`);
        assert.deepEqual(await serious(page), [], 'narrow');
        assert.deepEqual(found, []);
        await page.close();
      });
    }

    test('dialogs and menus can be used by everybody', async () => {
      const page = await browser.context.newPage();
      await page.goto(`${system.panel}/campaigns/${ENDLESS.id}`);
      await page.getByRole('button', { name: 'Stop', exact: true }).click();
      await page.getByRole('dialog').waitFor();
      assert.deepEqual(await serious(page), []);
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'hidden' });
      const focused = await page.evaluate(() => document.activeElement?.textContent);
      assert.equal(focused, 'Stop', 'the focus goes back to the button');
      await page.getByRole('button', { name: 'Budget', exact: true }).click();
      assert.deepEqual(await serious(page), []);
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'Last 24 hours' }).click();
      assert.deepEqual(await serious(page), []);
      await page.close();
    });
  });
}

test('times are in the viewer’s zone, with UTC in the title', async () => {
  const browser = await openBrowser({ zone: 'Asia/Tokyo' });
  const page = await browser.context.newPage();
  await page.goto(`${system.panel}/audit`);
  const time = page.locator('td time').first();
  const at = new Date((await time.getAttribute('datetime')) ?? '');
  const tokyo = new Intl.DateTimeFormat('en-GB', { timeZone: 'Asia/Tokyo', timeStyle: 'short' }).format(at);
  assert.ok((await time.innerText()).endsWith(tokyo), `${await time.innerText()} is not ${tokyo}`);
  const utc = at.toISOString().slice(11, 19);
  assert.ok((await time.getAttribute('title'))?.includes(utc));
  await browser.close();
});

test('the panel does not answer: the page says so, and goes on when it is back', async () => {
  const browser = await openBrowser();
  const page = await browser.context.newPage();
  await page.goto(`${system.panel}/now`);
  await page.getByRole('heading', { name: 'Last stops' }).waitFor();
  await browser.context.setOffline(true);
  await page.getByText('The panel does not answer.').waitFor({ timeout: 45_000 });
  await browser.context.setOffline(false);
  await page.getByText('The panel does not answer.').waitFor({ state: 'hidden', timeout: 45_000 });
  await browser.close();
});
