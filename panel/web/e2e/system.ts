/**
 * A whole Penstock for one test file: a built `penstock up` on free ports with a data folder of its own, a catalogue
 * of made-up campaigns and a few known ones. It ends with the tests, by its process id.
 */

import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const BINARY = resolve(process.env.PENSTOCK_BINARY ?? '../../target/debug/penstock');
const READY_MS = 120_000;

/** Known campaigns beside the made-up ones: numbers that no seed gives. */
export const BUDGETED = { id: 900_001, name: 'Budget of three clicks', tag: 'e2e-budgeted' };
export const ENDLESS = { id: 900_002, name: 'Endless summer', tag: 'e2e-endless' };

interface Catalogue {
  advertisers: Record<string, unknown>[];
  campaigns: Record<string, unknown>[];
  tags: Record<string, number>;
}

export interface System {
  panel: string;
  sidecar: string;
  clickhouse: string;
  data: string;
  /** Of the user `admin`; empty while the panel is open. */
  oneTimePassword: string;
  penstock: (...args: string[]) => Promise<string>;
  /** A command that goes on; ends with the system. */
  background: (...args: string[]) => ChildProcess;
  post: (events: readonly object[]) => Promise<void>;
  /** Plain SQL in the engine: what the pages are held against. */
  sql: (query: string) => Promise<string>;
  stop: () => Promise<void>;
}

export async function until<T>(
  what: string,
  look: () => Promise<T | null | false | undefined>,
  ms = 60_000,
): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    const found = await look();
    if (found !== null && found !== false && found !== undefined) return found;
    if (Date.now() > end) throw new Error(`${what} did not happen within ${ms} ms`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** A port that is free now: the engine does not say which one it took when it is given 0. */
function freePort(): Promise<number> {
  return new Promise((done, failed) => {
    const server = createServer();
    server.once('error', failed);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => done(port));
    });
  });
}

function config(access: 'open' | 'login', engine: number): string {
  return [
    '[sidecar]',
    'listen = "127.0.0.1:0"',
    '[engine]',
    `listen = "127.0.0.1:${engine}"`,
    '[panel]',
    'listen = "127.0.0.1:0"',
    `access = "${access}"`,
    // A file of the archive appears soon after its first event.
    '[archive]',
    'max_age = "1s"',
    '',
  ].join('\n');
}

/**
 * Two records that nobody can read, in a data folder that has never run. Every sink puts both aside; the letters of
 * the first hold what it was meant to be, as after an update: a click of this id on a campaign.
 */
export async function deadLetters(data: string, first: string, last: string): Promise<void> {
  await run(join(dirname(BINARY), 'examples/dead_letters'), [data, first, last, String(ENDLESS.id)]);
}

export async function startSystem(
  access: 'open' | 'login',
  prepare: (data: string) => Promise<void> = async () => {},
): Promise<System> {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-web-'));
  const data = join(folder, 'data');
  mkdirSync(data);
  writeFileSync(join(folder, 'up.toml'), config(access, await freePort()));
  await prepare(data);
  const up = spawn(BINARY, ['up', '--data', data, '--config', join(folder, 'up.toml')]);
  let out = '';
  let log = '';
  up.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  up.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const ended = new Promise<void>((done) => up.once('exit', () => done()));
  const children: ChildProcess[] = [];
  const stop = async () => {
    for (const child of children) child.kill('SIGTERM');
    up.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };

  const address = (name: string) => new RegExp(`^\\s*${name}\\s+(http://\\S+)`, 'm').exec(out)?.[1];
  await until(
    'penstock up',
    async () => {
      if (up.exitCode !== null) throw new Error(`penstock ended while starting:\n${log.slice(-3000)}`);
      return out.includes('drains and stops');
    },
    READY_MS,
  );
  const panel = address('panel') ?? '';
  const sidecar = address('sidecar') ?? '';
  const clickhouse = address('ClickHouse') ?? '';
  const env = { ...process.env, PENSTOCK_PANEL: panel, PENSTOCK_SIDECAR: sidecar };
  const system: System = {
    panel,
    sidecar,
    clickhouse,
    data,
    oneTimePassword: /one-time password (\S+)/.exec(out + log)?.[1] ?? '',
    penstock: async (...args) => (await run(BINARY, args, { env, cwd: folder })).stdout,
    background: (...args) => {
      const child = spawn(BINARY, args, { env, cwd: folder, stdio: 'ignore' });
      children.push(child);
      return child;
    },
    post: async (events) => {
      const response = await fetch(`${sidecar}/v1/events`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(events),
      });
      if (response.status !== 202)
        throw new Error(`the sidecar answered ${response.status}: ${await response.text()}`);
    },
    sql: async (query) => (await fetch(`${clickhouse}/`, { method: 'POST', body: query })).text(),
    stop,
  };
  try {
    await importCatalogue(system, folder);
  } catch (error) {
    await stop();
    throw error;
  }
  return system;
}

async function importCatalogue(system: System, folder: string): Promise<void> {
  const file = join(folder, 'catalogue.json');
  await system.penstock('seed', '--campaigns', '60', '--tags', '240', '--out', file);
  const catalogue = JSON.parse(readFileSync(file, 'utf8')) as Catalogue;
  catalogue.advertisers.push({ id: 900_000, name: 'Known advertiser', currency: 'USD' });
  catalogue.campaigns.push(
    {
      id: BUDGETED.id,
      name: BUDGETED.name,
      advertiser_id: 900_000,
      cpc_micros: 20_000,
      total_budget_micros: 60_000,
    },
    { id: ENDLESS.id, name: ENDLESS.name, advertiser_id: 900_000, cpm_micros: 1500, cpc_micros: 20_000 },
  );
  catalogue.tags[BUDGETED.tag] = BUDGETED.id;
  catalogue.tags[ENDLESS.tag] = ENDLESS.id;
  writeFileSync(file, JSON.stringify(catalogue));
  await system.penstock('catalogue', 'import', file, '--data', system.data);
}

/** Some events of each type on a campaign. */
export function events(tag: string, count: number): object[] {
  const types = ['impression', 'impression', 'impression', 'visit', 'click', 'conversion'];
  const countries = ['DE', 'FR', 'US'];
  return Array.from({ length: count }, (_, i) => ({
    type: types[i % types.length],
    payload: {
      tag,
      country: countries[i % countries.length],
      device: i % 2 === 0 ? 'mobile' : 'desktop',
      user_id: `u${i % 40}`,
      variation_id: i % 2 === 0 ? 'a' : 'b',
    },
  }));
}
