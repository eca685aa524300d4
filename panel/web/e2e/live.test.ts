/** What the panel promises to people at work, in a real browser against a running system with logins. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { openBrowser, type Browser } from './browser.ts';
import { complaints, figure, PASSWORD, replacePassword, send, signIn } from './panel.ts';
import { BUDGETED, ENDLESS, events, startSystem, until, type System } from './system.ts';

let system: System;
let admin: Browser;
let operator: Browser;
let viewer: Browser;
const complained: string[] = [];

async function newPage(browser: Browser): Promise<Page> {
  const page = await browser.context.newPage();
  page.setDefaultTimeout(20_000);
  const found = complaints(page);
  page.on('close', () => complained.push(...found));
  return page;
}

before(async () => {
  system = await startSystem('login');
  [admin, operator, viewer] = await Promise.all([openBrowser(), openBrowser(), openBrowser()]);
});

after(async () => {
  await Promise.all([admin?.close(), operator?.close(), viewer?.close()]);
  await system?.stop();
});

test('the first admin replaces the one-time password before anything else', async () => {
  assert.notEqual(system.oneTimePassword, '', 'penstock up prints a one-time password');
  const page = await newPage(admin);
  await signIn(page, system, 'admin', 'not the password at all');
  await page.getByRole('alert').waitFor();
  await signIn(page, system, 'admin', system.oneTimePassword);
  await replacePassword(page, system.oneTimePassword, PASSWORD);
  await page.close();
});

test('an admin adds people, who have to choose their own passwords', async () => {
  const page = await newPage(admin);
  await page.goto(`${system.panel}/users`);
  for (const [name, role] of [
    ['olga', 'operator'],
    ['victor', 'viewer'],
  ] as const) {
    await page.getByRole('button', { name: 'Add a user' }).click();
    await page.getByLabel('Name').fill(name);
    await page.getByLabel('Role').selectOption(role);
    await page.getByLabel('First password').fill(`handed-over-to-${name}`);
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByRole('rowheader', { name }).waitFor();
    const browser = role === 'operator' ? operator : viewer;
    const theirs = await newPage(browser);
    await signIn(theirs, system, name, `handed-over-to-${name}`);
    await replacePassword(theirs, `handed-over-to-${name}`, PASSWORD);
    await theirs.close();
  }
  await page.close();
});

test('figures of a campaign change without a reload while events come in', async () => {
  const page = await newPage(viewer);
  await page.goto(`${system.panel}/campaigns/${ENDLESS.id}`);
  await page.getByRole('heading', { name: ENDLESS.name }).waitFor();
  await page.evaluate(() => Object.assign(window, { loadedOnce: true }));
  const simulator = system.background(
    'simulate',
    '--rate',
    '200',
    '--duration',
    '10m',
    '--data',
    system.data,
  );
  for (let round = 0; round < 3; round += 1) {
    const seen = await figure(page, 'Charged so far', 'Impressions');
    await system.post(events(ENDLESS.tag, 60));
    await until(
      'a change of the page',
      async () => (await figure(page, 'Charged so far', 'Impressions')) > seen,
    );
  }
  assert.ok((await figure(page, 'Charged so far', 'Impressions')) >= 90);
  assert.equal(await page.evaluate(() => 'loadedOnce' in window), true, 'the page was not loaded again');
  simulator.kill('SIGTERM');
  await page.close();
});

test('a campaign that uses up its budget is shown as stopped by itself', async (t) => {
  const page = await newPage(viewer);
  await page.goto(`${system.panel}/campaigns/${BUDGETED.id}`);
  const state = page.locator('header').getByText('Serving', { exact: true });
  await state.waitFor();
  const click = { type: 'click', payload: { tag: BUDGETED.tag } };
  await system.post([click, click, click]);
  const acknowledged = performance.now();
  await page.locator('header').getByText('Total budget used up').waitFor();
  t.diagnostic(`shown ${Math.round(performance.now() - acknowledged)} ms after the acknowledgement`);
  const answer = (await (await fetch(`${system.sidecar}/v1/campaigns/${BUDGETED.id}`)).json()) as {
    serving: boolean;
  };
  assert.equal(answer.serving, false);
  await page.goto(`${system.panel}/now`);
  await page.getByRole('region', { name: 'Last stops, table' }).getByText(BUDGETED.name).waitFor();
  await page.close();
});

test('an operator stops a campaign by hand: the sidecar says so, and the audit says who', async (t) => {
  const page = await newPage(operator);
  await page.goto(`${system.panel}/campaigns`);
  await page.getByRole('searchbox').fill(ENDLESS.name);
  await page.getByRole('link', { name: ENDLESS.name }).click();
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  const dialog = page.getByRole('dialog');
  const confirm = dialog.getByRole('button', { name: 'Stop the campaign' });
  assert.equal(await confirm.isDisabled(), true, 'no stop without a reason');
  await dialog.getByLabel('Reason').fill('wrong landing page');
  await confirm.click();
  const pressed = performance.now();
  await until('the sidecar’s word', async () => {
    const answer = (await (await fetch(`${system.sidecar}/v1/campaigns/${ENDLESS.id}`)).json()) as {
      serving: boolean;
      reason: string;
    };
    return !answer.serving && answer.reason === 'operator';
  });
  t.diagnostic(
    `the sidecar answered serving:false ${Math.round(performance.now() - pressed)} ms after the press`,
  );
  await page.locator('header').getByText('Stopped by hand').waitFor();
  await page.getByRole('link', { name: 'Audit' }).last().click();
  const row = page.getByRole('row', { name: /olga/ });
  await row.getByText('wrong landing page').waitFor();
  await page.getByRole('button', { name: 'Resume', exact: true }).click();
  await dialog.getByLabel('Reason').fill('landing page mended');
  await dialog.getByRole('button', { name: 'Resume the campaign' }).click();
  await page.locator('header').getByText('Serving', { exact: true }).waitFor();
  await page.close();
});

test('a viewer sees everything and changes nothing', async () => {
  const page = await newPage(viewer);
  await page.goto(`${system.panel}/campaigns/${ENDLESS.id}`);
  await page.getByText('stopping and budgets need the role operator').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Stop', exact: true }).count(), 0);
  assert.equal(await page.getByRole('button', { name: 'Budget', exact: true }).count(), 0);
  const refused = await send(page, 'POST', `/api/v1/campaigns/${ENDLESS.id}/stop`, { reason: 'let me' });
  assert.deepEqual(refused, { status: 403, code: 'forbidden' });
  await page.goto(`${system.panel}/users`);
  await page.getByText('This page needs the role admin').waitFor();
  await page.close();
});

test('one event is found by its id, and its archive file exists', async () => {
  const id = randomUUID();
  await system.post([
    { type: 'click', id, payload: { tag: ENDLESS.tag, user_id: 'u-needle', country: 'SE' } },
  ]);
  const page = await newPage(viewer);
  await until('the event in ClickHouse', async () => {
    return (await system.sql(`SELECT count() FROM penstock.events WHERE id = '${id}'`)).trim() === '1';
  });
  await page.goto(`${system.panel}/events`);
  await page.getByLabel('Find one event by its id').fill(id);
  await page.getByRole('button', { name: 'Find' }).click();
  await page.getByRole('heading', { name: `Event ${id}` }).waitFor();
  await page.getByText('u-needle').first().waitFor();
  await page.getByText('the file is there').waitFor({ timeout: 60_000 });
  const path = await page.getByRole('region', { name: 'Where it lies' }).locator('code').last().innerText();
  const found = [path, join(system.data, path), join(system.data, 'archive', path)].some((p) =>
    existsSync(p),
  );
  assert.ok(found, `${path} is a file of the archive`);
  assert.ok(path.includes('click/year='), `${path} is named after type and hour`);
  await page.close();
});

test('an export equals the query', async () => {
  const page = await newPage(viewer);
  const to = new Date(Math.floor(Date.now() / 1000) * 1000).toISOString();
  const from = new Date(Date.now() - 3_600_000).toISOString();
  const filter = JSON.stringify([{ dim: 'campaign_id', op: 'in', values: [String(ENDLESS.id)] }]);
  const question = new URLSearchParams({
    from,
    to,
    group_by: 'country',
    measures: 'events,clicks,cost_nanos',
    filter,
  });
  await page.goto(`${system.panel}/explore?${question}`);
  await page.getByRole('region', { name: 'Result, table' }).waitFor();
  await page.getByRole('button', { name: 'Export' }).click();
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'CSV' }).click(),
  ]);
  const csv = readFileSync(await download.path(), 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.replaceAll('"', ''));
  const asked = await system.sql(
    `SELECT country, count(), countIf(type = 'click'), toString(sum(cost_nanos)) FROM penstock.events
     WHERE campaign_id = ${ENDLESS.id} AND time >= parseDateTime64BestEffort('${from}', 6) AND time < parseDateTime64BestEffort('${to}', 6)
     GROUP BY country ORDER BY country FORMAT CSV`,
  );
  const expected = asked
    .trim()
    .split('\n')
    .map((line) => line.replaceAll('"', ''));
  assert.ok(expected.length >= 3, 'there is something to export');
  assert.deepEqual([...csv].sort(), [...expected].sort());
  const shown = await page.getByRole('region', { name: 'Result, table' }).locator('tbody tr').allInnerTexts();
  const events = new Map(expected.map((line) => [line.split(',')[0], Number(line.split(',')[1])]));
  for (const row of shown) {
    const [country, count] = row.split(/\s+/);
    assert.equal(Number(count?.replaceAll(',', '')), events.get(country));
  }
  assert.equal(shown.length, expected.length);
  await page.close();
});

test('signing out takes everything away', async () => {
  const page = await newPage(viewer);
  await page.goto(`${system.panel}/now`);
  await page.getByRole('button', { name: 'Sign out' }).first().click();
  await page.getByRole('heading', { name: 'Sign in to Penstock' }).waitFor();
  await page.goto(`${system.panel}/campaigns`);
  await page.getByRole('heading', { name: 'Sign in to Penstock' }).waitFor();
  await page.close();
});

test('the browser found nothing to complain about on the way', () => {
  assert.deepEqual(complained, []);
});
