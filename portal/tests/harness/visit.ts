// A person with a browser, before the pages of a true service.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { join } from 'node:path';
import type { BrowserContext, Page } from 'playwright-core';

import { Authenticator } from './authenticator';
import { addAuthenticator, checkAccessible, checkWidth, DESKTOP, type Look, profile, Watch } from './browser';
import { Hands } from './hands';
import type { Key as DriveKey, TextFile } from './keys';
import { needed } from './programs';
import type { Service } from './service';

export const PASSWORD = 'calm harbour kettle violin';
/** No page may ever say that saving needs two-factor off, or anything near it. */
const FORBIDDEN = /because two-factor|(can.?t|cannot|could not|couldn.?t) save.*two-factor|(turn|switch) (off|it off).*(to|before).*sav/i;

export interface Visiting {
  look?: Look;
  /** Where people reach the service, when something stands between. */
  origin?: string;
  /** What stands behind the origin, `/` or the path of a proxy. */
  path?: string;
  /** An authenticator for passkeys in this browser. */
  authenticator?: 'prf' | 'plain';
}

/** Visits that were not ended. */
const open = new Set<Visit>();

/** A test whose failure shows what the person saw last. */
export function journey(name: string, steps: () => Promise<void>, options: { skip?: string | false } = {}): void {
  test(name, options, async (context) => {
    try {
      await steps();
    } catch (error) {
      for (const visit of open) context.diagnostic(await visit.lastSeen(name).catch(String));
      throw error;
    } finally {
      for (const visit of open) await visit.leave();
    }
  });
}

export class Visit {
  readonly service: Service;
  readonly page: Page;
  readonly hands: Hands;
  readonly watch: Watch;
  readonly #context: BrowserContext;
  readonly base: string;

  private constructor(service: Service, context: BrowserContext, page: Page, watch: Watch, base: string, look: Look) {
    this.service = service;
    this.#context = context;
    this.page = page;
    this.watch = watch;
    this.base = base;
    this.hands = new Hands(page, look.language);
  }

  static async open(service: Service, how: Visiting = {}): Promise<Visit> {
    const look = how.look ?? DESKTOP;
    const base = `${how.origin ?? service.origin}${how.path ?? '/'}`;
    const watch = new Watch(new URL(base).origin);
    const context = await profile(look, watch);
    const page = await context.newPage();
    if (how.authenticator !== undefined) await addAuthenticator(page, how.authenticator === 'prf');
    const visit = new Visit(service, context, page, watch, base, look);
    open.add(visit);
    await page.goto(base);
    await page.locator('h1').first().waitFor();
    return visit;
  }

  /** Looks at the page as it is: nobody is kept out, nothing sticks out, nothing of the old advice is said. */
  async look(where: string): Promise<void> {
    await checkWidth(this.page, where);
    await checkAccessible(this.page, where);
    assert.doesNotMatch(await this.hands.words(), FORBIDDEN, where);
    this.watch.check();
  }

  /** Ends the visit; what went wrong on the side comes up here. */
  async end(): Promise<void> {
    await this.leave();
    this.watch.check();
  }

  async leave(): Promise<void> {
    open.delete(this);
    await this.#context.close();
  }

  /** What is on the screen, and what went wrong on the side, for the message of a failure. */
  async lastSeen(name: string): Promise<string> {
    const picture = join(needed('KEYHAVEN_SCREENS'), `failed-${name.replace(/\W+/g, '-').slice(0, 60)}.png`);
    await this.page.screenshot({ path: picture, fullPage: true });
    return [this.page.url(), picture, ...this.watch.noted(), await this.hands.words()].join('\n');
  }

  /** Makes an account up to its second factor. Gives the code of the kit. */
  async beginSignUp(email: string): Promise<string> {
    const { hands } = this;
    await hands.follow('sign_up.action');
    await hands.reaches('sign_up.title');
    await this.look('sign-up');
    await hands.type('email', email);
    await hands.type('password', PASSWORD);
    await hands.type('password.again', PASSWORD);
    await hands.type('sign_up.invite', this.service.invite());
    await hands.press('ui.next');
    await hands.reaches('sign_up.kit');
    await this.look('sign-up, kit');
    const code = await this.keepKit();
    await hands.reaches('sign_up.factor');
    return code;
  }

  /** Reads the kit, and types its end as if from paper. */
  async keepKit(): Promise<string> {
    await this.sees('kit.qr');
    const code = (await this.page.locator('.sheet .secret').innerText()).trim();
    await this.hands.type('kit.check', code.replace(/[\s-]/g, '').slice(-6));
    await this.hands.press('kit.kept');
    return code;
  }

  /** A picture of a code is drawn while the flow that needs it waits for the person. */
  private async sees(picture: 'kit.qr' | 'factor.totp.qr'): Promise<void> {
    await this.page.getByRole('img', { name: this.hands.text(picture) }).waitFor();
  }

  /** Adds an authenticator app where the page offers one. */
  async addPhone(): Promise<Authenticator> {
    const { hands } = this;
    await hands.press('factor.totp.choose');
    await hands.press('factor.totp.show');
    return this.scan();
  }

  /** Scans the picture that is shown, and types two codes. */
  async scan(): Promise<Authenticator> {
    const { hands } = this;
    await hands.sees('factor.totp.scan');
    await this.sees('factor.totp.qr');
    await hands.unfold('factor.totp.by_hand');
    const link = await this.page.getByRole('link', { name: hands.text('factor.totp.open_app') }).getAttribute('href');
    const phone = Authenticator.scan(link ?? '', this.service);
    const [first, second] = phone.twoCodes();
    await hands.type('factor.totp.first', first);
    await hands.type('factor.totp.second', second);
    return phone;
  }

  /** Makes backup codes at the end of the sign-up, after `confirm`. */
  async keepBackupCodes(): Promise<string[]> {
    const { hands } = this;
    await hands.sees('codes.kept.check');
    const codes = await this.page.locator('ol.codes li').allInnerTexts();
    await hands.tick('codes.kept.check');
    await hands.press('codes.kept');
    return codes;
  }

  /** Makes an account with an authenticator app. */
  async signUp(email: string): Promise<{ phone: Authenticator; kit: string; codes: string[] }> {
    const { hands } = this;
    const kit = await this.beginSignUp(email);
    const phone = await this.addPhone();
    await hands.sees('sign_up.codes.lead');
    await hands.type('confirm.code', await phone.freshCode());
    const codes = await this.keepBackupCodes();
    await hands.reaches('sign_up.done');
    await this.look('sign-up, done');
    return { phone, kit, codes };
  }

  /** The first step of signing in. */
  async typePassword(email: string, password = PASSWORD): Promise<void> {
    const { hands } = this;
    await hands.type('email', email);
    await hands.type('password', password);
    await hands.press('sign_in.password');
  }

  async signIn(email: string, phone: Authenticator, password = PASSWORD): Promise<void> {
    const { hands } = this;
    await hands.goes('sign-in');
    await hands.reaches('sign_in.title');
    await this.typePassword(email, password);
    await hands.reaches('sign_in.second');
    await hands.type('confirm.code', await phone.freshCode());
    await hands.reaches('keys.title');
  }

  /** Confirms with password and a fresh code; the last digit sends it. */
  async confirm(phone: Authenticator): Promise<void> {
    await this.hands.type('confirm.password', PASSWORD);
    await this.hands.type('confirm.code', await phone.freshCode());
  }

  /** Saves what a file has, and waits for "Saved". */
  async save(file: TextFile, computer: string): Promise<void> {
    const { hands } = this;
    await hands.goes('save');
    await hands.reaches('save.title');
    await hands.drop(file);
    await hands.reaches('save.preview', { count: 1 });
    await this.look('save, preview');
    await hands.type('save.computer', computer);
    await hands.press('save.save', { count: 1 });
    await hands.reaches('save.saved', { count: 1 });
    await hands.sees('save.saved.lead');
    await this.look('save, saved');
  }

  /** From the list to one key, by what a locked screen shows. */
  async find(key: DriveKey): Promise<void> {
    const { hands } = this;
    await hands.goes('keys');
    await hands.type('keys.search', key.id.slice(0, 8).toLowerCase());
    await hands.follow('keys.show');
    await this.page.locator('h2', { hasText: hands.text('key.about') }).waitFor();
  }

  /** The digits that are shown now. */
  async digits(): Promise<string> {
    await this.hands.sees('key.here');
    return (await this.page.locator('ol.key .digits').allInnerTexts()).join('-');
  }
}
