// Pictures of every page: light and dark, phone and desktop and the narrowest window, both languages. Each fits the window, keeps
// nobody out, and moves nothing by itself.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { BrowserContext } from 'playwright-core';

import { type Look, profile, Watch } from '../harness/browser';
import { Files } from '../harness/files';
import { Hands } from '../harness/hands';
import { pictures, SMALL } from '../harness/pictures';
import { Service } from '../harness/service';
import { type Scene, SCENES, signIn } from './scenes';

const START: Look = { ...SMALL, scheme: 'light', language: 'en' };

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
    await pictures(page, scene.name, language);
  } finally {
    await page.close();
  }
}
