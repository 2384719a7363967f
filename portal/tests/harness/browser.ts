// The browser, and what it is never to say: no error, no broken policy, no request elsewhere, nothing that moves by itself.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium, type Browser, type BrowserContext, type CDPSession, type Page } from 'playwright-core';

import { needed } from './programs';

let started: Promise<Browser> | undefined;

/** One browser for all: each visit has a profile of its own. */
export function browser(): Promise<Browser> {
  started ??= chromium.launch({
    executablePath: needed('KEYHAVEN_BROWSER'),
    // The sandbox of the browser cannot be had by root.
    chromiumSandbox: process.getuid?.() !== 0,
    args: ['--disable-dev-shm-usage', '--force-color-profile=srgb'],
  });
  return started;
}

export async function closeBrowser(): Promise<void> {
  await (await started)?.close();
}

/** How a page is looked at. */
export interface Look {
  width: number;
  height: number;
  scheme: 'light' | 'dark';
  language: 'en' | 'de';
}

export const DESKTOP: Look = { width: 1280, height: 800, scheme: 'light', language: 'en' };
export const PHONE: Look = { width: 390, height: 844, scheme: 'light', language: 'en' };

/** What went wrong in a page without failing anything there. */
export class Watch {
  readonly #origin: string;
  readonly #troubles: string[] = [];
  /** Refusals of the service that the journey provokes: the browser notes each in its console. */
  readonly #refusals = new Set<number>();

  constructor(origin: string) {
    this.#origin = origin;
  }

  allowRefusals(...statuses: number[]): void {
    for (const status of statuses) this.#refusals.add(status);
  }

  note(trouble: string): void {
    this.#troubles.push(trouble);
  }

  async attach(context: BrowserContext): Promise<void> {
    await context.exposeBinding('keyhavenTrouble', (_source, trouble: string) => this.note(trouble));
    await context.addInitScript(watchFromInside);
    context.on('request', (request) => {
      const { origin, protocol } = new URL(request.url());
      if (origin !== this.#origin && protocol !== 'data:' && protocol !== 'blob:') this.note(`a request to ${request.url()}`);
    });
    context.on('console', (message) => {
      if (!['error', 'warning'].includes(message.type())) return;
      const status = /status of (\d{3})/.exec(message.text())?.[1];
      if (status !== undefined && this.#refusals.has(Number(status))) return;
      this.note(`${message.type()}: ${message.text()} (${message.location().url})`);
    });
    context.on('weberror', (error) => this.note(`an error: ${error.error().stack ?? error.error().message}`));
  }

  noted(): readonly string[] {
    return this.#troubles;
  }

  /** What was noted belongs to something that failed anyway. */
  forget(): void {
    this.#troubles.length = 0;
  }

  /** Fails when anything was noted. */
  check(): void {
    assert.deepEqual(this.#troubles.splice(0), []);
  }
}

/** Runs in every page before its own code. */
function watchFromInside(): void {
  const note = (trouble: string): void => {
    void (globalThis as unknown as { keyhavenTrouble: (trouble: string) => Promise<void> }).keyhavenTrouble(trouble);
  };
  addEventListener('securitypolicyviolation', (event) => {
    note(`policy: ${event.violatedDirective}, ${event.blockedURI} ${event.sample} (${event.sourceFile}:${event.lineNumber})`);
  });
  type Shift = PerformanceEntry & {
    value: number;
    hadRecentInput: boolean;
    sources: { node: Node | null; previousRect: DOMRectReadOnly; currentRect: DOMRectReadOnly }[];
  };
  // Another page in place of this one is no shift, though it may come long after the tap: the service was asked in between.
  const PAGE_CHANGE_MS = 300;
  const changes: number[] = [];
  let title = '';
  new MutationObserver(() => {
    const now = document.querySelector('h1')?.textContent ?? '';
    if (now !== title) changes.push(performance.now());
    title = now;
  }).observe(document, { subtree: true, childList: true, characterData: true });
  const isChange = (at: number) => changes.some((change) => Math.abs(change - at) < PAGE_CHANGE_MS);
  const look = (shifts: Shift[]): void => {
    for (const shift of shifts) {
      if (shift.hadRecentInput || shift.value < 0.0001 || isChange(shift.startTime)) continue;
      const what = shift.sources.map(({ node, previousRect, currentRect }) => {
        const element = node instanceof Element ? node : node?.parentElement;
        const name = `${element?.tagName.toLowerCase()}.${element?.className}`;
        return `${name} ${previousRect.y}+${previousRect.height} to ${currentRect.y}+${currentRect.height}`;
      });
      note(`layout shift of ${shift.value.toFixed(4)} at ${location.hash}: ${what.join('; ')}`);
    }
  };
  new PerformanceObserver((list) => {
    const shifts = list.getEntries() as Shift[];
    setTimeout(() => look(shifts), PAGE_CHANGE_MS);
  }).observe({ type: 'layout-shift', buffered: true });
}

/** A profile of its own, as somebody has it. */
export async function profile(look: Look, watch: Watch): Promise<BrowserContext> {
  const context = await (await browser()).newContext({
    viewport: { width: look.width, height: look.height },
    colorScheme: look.scheme,
    locale: look.language === 'de' ? 'de-DE' : 'en-GB',
    timezoneId: 'Europe/Berlin',
    reducedMotion: 'reduce',
    acceptDownloads: true,
    permissions: ['clipboard-write'],
    ...(look.width < 600 && { hasTouch: true, isMobile: true, deviceScaleFactor: 2 }),
  });
  context.setDefaultTimeout(20_000);
  await watch.attach(context);
  return context;
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const sessions = new WeakMap<Page, Promise<CDPSession>>();

/** The page's own session of the browser's tools. It stays: the end of any session takes the page's virtual authenticators away. */
function tools(page: Page): Promise<CDPSession> {
  const known = sessions.get(page) ?? page.context().newCDPSession(page);
  sessions.set(page, known);
  return known;
}

/** What keeps people out: none. */
export async function checkAccessible(page: Page, where: string): Promise<void> {
  const devtools = await tools(page);
  const evaluate = async (expression: string): Promise<unknown> => {
    const { result, exceptionDetails } = await devtools.send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
      allowUnsafeEvalBlockedByCSP: true,
    });
    if (exceptionDetails !== undefined) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  if ((await evaluate("typeof axe")) === 'undefined') await evaluate(`${AXE}; 0`);
  const found = (await evaluate(`axe.run(document, { resultTypes: ['violations'] }).then((found) =>
    found.violations.map((one) => one.id + ': ' + one.help + '\\n' +
      one.nodes.map((node) => '    ' + node.html.slice(0, 200) + ' ' + (node.failureSummary ?? '')).join('\\n')))`)) as string[];
  assert.deepEqual(found, [], where);
}

/** What is wider than the window. */
export async function checkWidth(page: Page, where: string): Promise<void> {
  const wide = await page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    return [...document.querySelectorAll('body *')]
      .filter((element) => element.getBoundingClientRect().right > width + 0.5)
      .map((element) => `${element.tagName.toLowerCase()}.${element.className} to ${element.getBoundingClientRect().right}`)
      .slice(0, 8);
  });
  assert.deepEqual(wide, [], `${where}: wider than the window`);
}

/** Adds an authenticator to a page: a passkey provider without a person in front of it. */
export async function addAuthenticator(page: Page, prf: boolean): Promise<void> {
  const devtools = await tools(page);
  await devtools.send('WebAuthn.enable');
  await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      ctap2Version: 'ctap2_1',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
      hasPrf: prf,
    },
  });
}

