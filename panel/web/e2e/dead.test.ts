/** Dead letters in a real browser: seen by reason, looked at, replayed once; what cannot be replayed says why. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { openBrowser, type Browser } from './browser.ts';
import { complaints } from './panel.ts';
import { deadLetters, startSystem, until, type System } from './system.ts';

const ID = randomUUID();
const ALONE = randomUUID();
const countOf = (id: string) => `SELECT count() FROM penstock.events WHERE id = '${id}'`;
const counted = countOf(ID);

let system: System;
let browser: Browser;
let page: Page;
let complained: string[];

before(async () => {
  system = await startSystem('open', (data) => deadLetters(data, ID, ALONE));
  browser = await openBrowser();
  page = await browser.context.newPage();
  page.setDefaultTimeout(20_000);
  complained = complaints(page);
});

after(async () => {
  await browser?.close();
  await system?.stop();
});

const row = (name: string) =>
  page
    .getByRole('region', { name: 'Dead letters by reason, table' })
    .getByRole('row')
    .filter({ hasText: name });

test('letters are listed by reason, and a record can be looked at', async () => {
  await page.goto(`${system.panel}/quality`);
  await until('the records of the three sinks', async () => {
    const counts = await Promise.all(
      ['Statistics', 'Balances', 'Archive'].map((sink) =>
        row(sink).getByRole('cell', { name: '3', exact: true }).count(),
      ),
    );
    return counts.every((c) => c === 1);
  });
  await row('Statistics').getByRole('button', { name: 'Show' }).click();
  await page.getByRole('button', { name: 'Show the record at offset 0' }).click();
  const record = page.getByRole('dialog', { name: 'The record' });
  await record.getByText(ID).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Show the record at offset 1' }).click();
  await record.getByText('c3 01').waitFor();
  await page.keyboard.press('Escape');
});

test('a picked letter is replayed, and its event counts once', async () => {
  assert.equal((await system.sql(counted)).trim(), '0');
  await page.getByRole('checkbox', { name: 'Pick the record at offset 0' }).check();
  await page.getByRole('button', { name: 'Replay picked' }).click();
  const dialog = page.getByRole('dialog', { name: 'Replay dead letters?' });
  await dialog.getByRole('button', { name: 'Replay' }).click();
  await page.getByText('1 record replayed.').waitFor();
  await dialog.waitFor({ state: 'hidden' });
  await page.getByText('Replayed by local').waitFor();
  await until('the event in ClickHouse', async () => (await system.sql(counted)).trim() === '1');
  assert.equal(await page.getByRole('checkbox', { name: 'Pick the record at offset 0' }).count(), 0);
});

test('a picked letter is replayed to its own sink alone', async () => {
  await page.getByRole('checkbox', { name: 'Pick the record at offset 2' }).check();
  await page.getByRole('button', { name: 'Replay picked' }).click();
  const dialog = page.getByRole('dialog', { name: 'Replay dead letters?' });
  await dialog.getByRole('checkbox', { name: 'To Statistics alone' }).check();
  await dialog.getByRole('button', { name: 'Replay' }).click();
  await dialog.waitFor({ state: 'hidden' });
  await until('the event in ClickHouse', async () => (await system.sql(countOf(ALONE))).trim() === '1');
  assert.equal(await page.getByRole('checkbox', { name: 'Pick the record at offset 2' }).count(), 0);
});

test('a whole reason is replayed: what stays behind is named with why, and nothing counts twice', async () => {
  await row('Balances').getByRole('button', { name: 'Replay' }).click();
  const dialog = page.getByRole('dialog', { name: 'Replay dead letters?' });
  await dialog.getByRole('button', { name: 'Replay' }).click();
  await dialog.getByText('2 records stayed as they are').waitFor();
  assert.match(
    await dialog.getByRole('list').innerText(),
    /balances:.*:0:1 .*\n*.*balances:.*:0:2 .*to statistics alone/,
  );
  await dialog.getByRole('button', { name: 'Close' }).last().click();
  const report = JSON.parse(await system.penstock('reconcile', '--json')) as { equal?: boolean };
  assert.equal(report.equal, true);
  assert.equal((await system.sql(counted)).trim(), '1');
  await page.goto(`${system.panel}/audit`);
  await page.getByRole('region', { name: 'Audit' }).getByText('replay', { exact: false }).first().waitFor();
  assert.deepEqual(complained, []);
});
