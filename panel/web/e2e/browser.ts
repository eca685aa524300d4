/** Starts Debian's Chromium for the tests, with nothing that reaches outside. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type BrowserContext } from 'playwright-core';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface Browser {
  context: BrowserContext;
  close: () => Promise<void>;
}

export interface Look {
  width?: number;
  height?: number;
  theme?: 'light' | 'dark';
  /** An IANA time zone. */
  zone?: string;
}

/** A browser with a profile of its own, gone when it is closed. */
export async function openBrowser({
  width = 1440,
  height = 900,
  theme = 'light',
  zone,
}: Look = {}): Promise<Browser> {
  const profile = mkdtempSync(join(tmpdir(), 'penstock-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.PENSTOCK_CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: FLAGS,
    viewport: { width, height },
    colorScheme: theme,
    timezoneId: zone,
    acceptDownloads: true,
  });
  return {
    context,
    close: async () => {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}
