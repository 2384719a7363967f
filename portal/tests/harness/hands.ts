// What a person does with a page: reads its texts, types into its fields, presses its buttons. Everything is found as a person (or
// a screen reader) finds it, by its words.

import type { Download, Locator, Page } from 'playwright-core';

import { de } from '../../src/i18n/de';
import { en } from '../../src/i18n/en';
import type { Look } from './browser';

type Texts = typeof en;
export type Key = keyof Texts;
type Values = Readonly<Record<string, string | number>>;

export type Message = string | { one?: string; zero?: string; other: string };

export class Hands<K extends string = Key> {
  readonly page: Page;
  readonly #texts: Readonly<Record<string, Message>>;

  /** `texts`: those of other pages than the account's. */
  constructor(page: Page, language: Look['language'] = 'en', texts?: Readonly<Record<K, Message>>) {
    this.page = page;
    this.#texts = texts ?? ((language === 'de' ? de : en) as Texts);
  }

  /** The text under a key, as the page shows it. */
  text(key: K, values: Values = {}): string {
    const message = this.#texts[key] ?? key;
    const count = values['count'];
    const chosen =
      typeof message === 'string'
        ? message
        : count === 1
          ? (message.one ?? message.other)
          : count === 0
            ? (message.zero ?? message.other)
            : message.other;
    return chosen.replace(/<\/?\w+>/g, '').replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
  }

  /** Where to look: in the dialog when one is open. */
  async #place(): Promise<Locator> {
    const dialog = this.page.locator('dialog[open]');
    return (await dialog.count()) > 0 ? dialog.last() : this.page.locator('body');
  }

  async field(key: K): Promise<Locator> {
    return (await this.#place()).getByLabel(this.text(key), { exact: true });
  }

  async type(key: K, value: string): Promise<void> {
    const field = await this.field(key);
    await field.click();
    await field.fill(value);
  }

  /** A button; `values` are those of its text. */
  async button(key: K, values: Values = {}): Promise<Locator> {
    return (await this.#place()).getByRole('button', { name: this.text(key, values), exact: true });
  }

  async press(key: K, values: Values = {}): Promise<void> {
    await (await this.button(key, values)).first().click();
  }

  async follow(key: K): Promise<void> {
    await (await this.#place()).getByRole('link', { name: this.text(key) }).first().click();
  }

  /** Opens a part that is folded away. */
  async unfold(key: K): Promise<void> {
    await (await this.#place()).locator('summary', { hasText: this.text(key) }).first().click();
  }

  async tick(key: K): Promise<void> {
    await (await this.#place()).getByText(this.text(key)).first().click();
  }

  /** Waits until a text is there to be read. */
  async sees(key: K, values: Values = {}): Promise<Locator> {
    return this.seesText(this.text(key, values));
  }

  async seesText(text: string): Promise<Locator> {
    const found = this.page.getByText(text).locator('visible=true').first();
    await found.waitFor();
    return found;
  }

  /** Waits for the heading of a page. */
  async reaches(key: K, values: Values = {}): Promise<void> {
    await this.page.getByRole('heading', { level: 1, name: this.text(key, values), exact: true }).waitFor();
  }

  /** Goes to a page by its address, as from a bookmark: the key press tells the browser that a person is there. */
  async goes(path: string): Promise<void> {
    await this.page.keyboard.press('Shift');
    await this.page.evaluate((hash) => {
      location.hash = hash;
    }, `#/${path}`);
    await this.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  }

  /** Everything that the page shows. */
  words(): Promise<string> {
    return this.page.locator('body').innerText();
  }

  /** Does what makes the browser save a file, and gives it. */
  async saves(act: () => Promise<void>): Promise<Download> {
    const [download] = await Promise.all([this.page.waitForEvent('download'), act()]);
    return download;
  }

  /** Drops a file on the place for it. */
  async drop(file: { name: string; bytes: Buffer }): Promise<void> {
    const data = await this.page.evaluateHandle(
      ({ name, base64 }) => {
        const transfer = new DataTransfer();
        const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
        transfer.items.add(new File([bytes], name));
        return transfer;
      },
      { name: file.name, base64: file.bytes.toString('base64') },
    );
    for (const type of ['dragenter', 'dragover', 'drop'] as const) {
      await this.page.locator('.drop').dispatchEvent(type, { dataTransfer: data });
    }
  }
}
