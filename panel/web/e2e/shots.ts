/** Takes screenshots of pages at both widths and themes: `node e2e/shots.ts URL DIR PATH…`. */

import { openBrowser } from './browser.ts';

const [base, folder, ...paths] = process.argv.slice(2);
const combos = (process.env.SHOTS ?? '1440-light,1440-dark,360-light,360-dark').split(',');
const only = new Set(combos);
for (const theme of ['light', 'dark'] as const) {
  for (const width of [1440, 360]) {
    if (!only.has(`${width}-${theme}`)) continue;
    const browser = await openBrowser({ width, height: width === 360 ? 760 : 900, theme });
    const page = browser.context.pages()[0] ?? (await browser.context.newPage());
    page.on('console', (m) => {
      if (m.type() === 'error') console.error(`${m.text()} (${page.url()})`);
    });
    page.on('pageerror', (e) => console.error(e.message));
    for (const path of paths) {
      await page.goto(base + path);
      await page.waitForTimeout(2200);
      const name = path.replace(/[^a-z0-9]+/gi, '-').replace(/^-|-$/g, '') || 'root';
      await page.screenshot({
        path: `${folder}/${name.slice(0, 40)}-${width}-${theme}.png`,
        fullPage: process.env.FULL !== '0',
      });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      if (wide > 0) console.error(`${path} is ${wide} px too wide at ${width}`);
    }
    await browser.close();
  }
}
