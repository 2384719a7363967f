// The first moment: how long until the page can be used, and what it took.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { PHONE } from '../harness/browser';
import { Service } from '../harness/service';
import { Visit } from '../harness/visit';

const USABLE_MS = 1_000;
const PAGE_BYTES = 250 * 1024;

describe('first page', () => {
  let service: Service;
  before(async () => {
    service = await Service.start();
  });
  after(() => service.end());

  test('it is usable within a second and small', async (context) => {
    const visit = await Visit.open(service, { look: PHONE });
    // The first load starts the browser's processes; what a person waits for is the page.
    await visit.page.goto('about:blank');
    await visit.page.goto(visit.base);
    await visit.page.getByRole('link', { name: visit.hands.text('sign_in.action') }).first().waitFor();
    const { painted, loaded } = await visit.page.evaluate(() => ({
      painted: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.POSITIVE_INFINITY,
      loaded: (performance.getEntriesByType('navigation')[0] as PerformanceNavigationTiming).domContentLoadedEventEnd,
    }));
    const usable = Math.max(painted, loaded);
    context.diagnostic(`usable after ${usable.toFixed(0)} ms`);
    assert.ok(usable < USABLE_MS, `usable after ${usable} ms`);
    await visit.look('first page');
    await visit.end();
  });

  test('it takes little before the Worker comes, compressed', async (context) => {
    const page = await (await fetch(service.origin)).text();
    const named = [...page.matchAll(/(?:src|href)="\.\/([^"]+)"/g)].map(([, path]) => path ?? '');
    assert.ok(named.length >= 2, page);
    let bytes = 0;
    for (const path of ['', ...named]) bytes += await sent(`${service.origin}/${path}`);
    context.diagnostic(`${(bytes / 1024).toFixed(1)} KiB`);
    assert.ok(bytes < PAGE_BYTES, `${bytes} bytes`);
  });

  for (const path of ['/device', '/enrol']) {
    test(`the page is at ${path}, too`, async () => {
      const visit = await Visit.open(service, { path });
      await visit.look(path);
      await visit.end();
    });
  }
});

/** How many bytes come, as a browser asks for them. */
async function sent(address: string): Promise<number> {
  const { request } = await import('node:http');
  return new Promise((resolve, reject) => {
    request(address, { headers: { 'accept-encoding': 'br' } }, (answer) => {
      let bytes = 0;
      answer.on('data', (part: Buffer) => (bytes += part.length));
      answer.on('end', () => resolve(bytes));
    })
      .on('error', reject)
      .end();
  });
}
