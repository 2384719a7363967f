// Pictures of a page as it is: light and dark, phone and desktop and the narrowest window. Each fits the window and keeps nobody out.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';

import { checkAccessible, checkWidth, type Look } from './browser';
import { needed } from './programs';

export const SMALL = { name: 'phone', width: 390, height: 844 };
const DESKTOP = { name: 'desktop', width: 1280, height: 800 };
const NARROW = { name: 'narrow', width: 320, height: 640 };
/** What is looked at, one after the other: the page stays, the window changes. Accessibility depends on colours and on the layout. */
const VIEWS = [
  { ...SMALL, scheme: 'light', axe: true },
  { ...SMALL, scheme: 'dark', axe: false },
  { ...NARROW, scheme: 'light', axe: false },
  { ...DESKTOP, scheme: 'light', axe: false },
  { ...DESKTOP, scheme: 'dark', axe: true },
] as const;

/** Takes them all; the window is left as the last one was. */
export async function pictures(page: Page, name: string, language: Look['language']): Promise<void> {
  for (const view of VIEWS) {
    const where = `${view.name}-${view.scheme}-${language}`;
    const folder = join(needed('KEYHAVEN_SCREENS'), where);
    mkdirSync(folder, { recursive: true });
    await page.emulateMedia({ colorScheme: view.scheme });
    await page.setViewportSize(view);
    await frames(page);
    await checkWidth(page, where);
    // The window is made as high as the page: what sticks to its edge then covers nothing in the picture.
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    await page.setViewportSize({ width: view.width, height: Math.max(view.height, height) });
    await frames(page);
    await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled' });
    if (view.axe) await checkAccessible(page, where);
  }
}

/** Until what was asked for is on the screen. */
async function frames(page: Page): Promise<void> {
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}
