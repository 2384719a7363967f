// Pictures of every page: light and dark, phone and desktop and the narrowest window, both languages. Each fits the window, keeps
// nobody out, and moves nothing by itself.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { BrowserContext, Page } from 'playwright-core';

import { checkAccessible, checkWidth, type Look, profile, Watch } from '../harness/browser';
import { Files } from '../harness/files';
import { Hands } from '../harness/hands';
import { needed } from '../harness/programs';
import { Service } from '../harness/service';
import { type Scene, SCENES, signIn } from './scenes';

const PHONE = { name: 'phone', width: 390, height: 844 };
const DESKTOP = { name: 'desktop', width: 1280, height: 800 };
const NARROW = { name: 'narrow', width: 320, height: 640 };
/** What is looked at, one after the other: the page stays, the window changes. Accessibility depends on colours and on the layout. */
const VIEWS = [
  { ...PHONE, scheme: 'light', axe: true },
  { ...PHONE, scheme: 'dark', axe: false },
  { ...NARROW, scheme: 'light', axe: false },
  { ...DESKTOP, scheme: 'light', axe: false },
  { ...DESKTOP, scheme: 'dark', axe: true },
] as const;
const START: Look = { ...PHONE, scheme: 'light', language: 'en' };

describe('pages', () => {
  let files: Files;
  before(async () => {
    const service = await Service.start();
    files = await Files.serve(join(process.cwd(), 'node_modules/.sample'), service.origin);
    await service.end();
  });
  after(() => files.end());
  for (const language of ['en', 'de'] as const) {
    test(`pictures: ${language}`, async () => {
      const watch = new Watch(files.origin);
      const context = await profile({ ...START, language }, watch);
      const failures: string[] = [];
      const only = process.env['KEYHAVEN_SCENES']?.split(',');
      for (const scene of SCENES.filter(({ name }) => only?.includes(name) ?? true)) {
        try {
          await take(context, files.origin, scene, language);
          watch.check();
        } catch (error) {
          watch.forget();
          failures.push(`${scene.name}: ${error instanceof Error ? error.message : String(error)}`);
        }
      }
      await context.close();
      if (failures.length > 0) assert.fail(failures.join('\n'));
    });
  }
});

async function take(context: BrowserContext, origin: string, scene: Scene, language: Look['language']): Promise<void> {
  const page = await context.newPage();
  page.setDefaultTimeout(8_000);
  try {
    const hands = new Hands(page, language);
    await page.setViewportSize(START);
    await page.emulateMedia({ colorScheme: START.scheme });
    await page.goto(`${origin}/?state=${scene.state ?? ''}#/${scene.inside ? 'sign-in' : scene.path}`);
    await page.locator('h1').first().waitFor();
    if (scene.inside) {
      await signIn(hands);
      await page.locator('h1', { hasNotText: hands.text('sign_in.second') }).waitFor();
      await hands.goes(scene.path);
    }
    await scene.steps?.(hands);
    await page.mouse.move(0, 0);
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
      await page.screenshot({ path: join(folder, `${scene.name}.png`), animations: 'disabled' });
      if (view.axe) await checkAccessible(page, where);
    }
  } finally {
    await page.close();
  }
}

/** Until what was asked for is on the screen. */
async function frames(page: Page): Promise<void> {
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}
