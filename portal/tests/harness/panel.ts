// The control panel of a computer, and a person with a browser before it.

import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';

import { en as shared } from '../../src/i18n/en';
import { de as sharedDe } from '../../src/i18n/de';
import { de } from '../../src/panel/panel.de';
import { en } from '../../src/panel/panel.en';
import type { Look } from './browser';
import { Hands, type Key, type Message } from './hands';
import { pictures } from './pictures';
import type { Running } from './programs';
import type { Computer, Service } from './service';
import { Visit, type Visiting } from './visit';

export type PanelKey = keyof typeof en | Key;

/** What a person does with the pages of the panel. */
export type PanelHands = Hands<PanelKey>;

export class Panel {
  readonly #computer: Computer;
  readonly #place: string[];
  #running: Running | undefined;
  #link = '';

  private constructor(computer: Computer) {
    this.#computer = computer;
    // No device of the machine that the journey runs on is anybody's business.
    const [sys, dev] = [computer.path('sys'), computer.path('dev')];
    mkdirSync(`${sys}/class/block`, { recursive: true });
    mkdirSync(dev, { recursive: true });
    this.#place = ['--sys', sys, '--dev', dev];
  }

  static async start(computer: Computer): Promise<Panel> {
    const panel = new Panel(computer);
    await panel.run();
    return panel;
  }

  async run(): Promise<void> {
    this.#running = this.#computer.start(['up', '--no-open', ...this.#place]);
    const { link } = await this.#running.next();
    this.#link = link;
  }

  /** Another link, as the program gives it when it is run again. */
  another(): void {
    this.#link = this.#computer.report(['up', '--no-open', ...this.#place]).link;
  }

  async kill(): Promise<void> {
    await this.#running?.kill();
    this.#running = undefined;
  }

  async stop(): Promise<void> {
    await this.#running?.stop();
    this.#running = undefined;
  }

  /** Opens the link, which works once. */
  async open(service: Service, look: Look, how: Visiting = {}): Promise<PanelVisit> {
    const address = new URL(this.#link);
    const path = `/${address.hash}`;
    const visit = await Visit.open(service, { ...how, look, origin: address.origin, path });
    return new PanelVisit(visit, look.language);
  }
}

export class PanelVisit {
  readonly visit: Visit;
  readonly hands: PanelHands;
  readonly #language: Look['language'];

  constructor(visit: Visit, language: Look['language']) {
    this.visit = visit;
    this.#language = language;
    const texts = language === 'de' ? { ...sharedDe, ...de } : { ...shared, ...en };
    this.hands = new Hands<PanelKey>(visit.page, language, texts as Record<PanelKey, Message>);
  }

  /** Looks at the page in every window, and takes its pictures. */
  async look(name: string): Promise<void> {
    await this.visit.look(name);
    const size = this.visit.page.viewportSize();
    await pictures(this.visit.page, `panel-${name}`, this.#language);
    if (size !== null) await this.visit.page.setViewportSize(size);
  }

  end(): Promise<void> {
    return this.visit.end();
  }
}

/** A plain FAT32 image with a folder and a large file in it. */
export function plainImage(computer: Computer, name: string, megabytes: number): { image: string; file: string; content: Buffer } {
  const image = computer.path(name);
  const content = randomBytes(8 << 20);
  writeFileSync(image, Buffer.alloc(0));
  const made = (program: string, ...args: string[]): void => {
    const ran = spawnSync(program, args, { encoding: 'utf8' });
    if (ran.status !== 0) throw new Error(`${program}: ${ran.error?.message ?? ran.stderr}`);
  };
  made('truncate', '-s', `${megabytes}M`, image);
  made('mkfs.fat', '-F', '32', '-n', 'STICK', image);
  made('mmd', '-i', image, '::Folder');
  made('mcopy', '-i', image, computer.file('holiday.bin', content), '::Folder/holiday.bin');
  return { image, file: 'holiday.bin', content };
}

/** The file of a plain image, read by other tools. */
export function readPlain(computer: Computer, image: string): Buffer {
  const out = computer.path('read-back');
  const ran = spawnSync('mcopy', ['-n', '-o', '-i', image, '::Folder/holiday.bin', out], { encoding: 'utf8' });
  if (ran.status !== 0) throw new Error(`mcopy: ${ran.error?.message ?? ran.stderr}`);
  return readFileSync(out);
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
