// A service of its own for each journey: the real program on loopback, SQLite in a temporary folder, notices as files, and a
// clock that can be moved.

import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Authenticator } from './authenticator';
import { cleanEnvironment, readLine, report, run, Running, type Ran } from './programs';

/** A mail as the service handed it over. */
export interface Mail {
  to: string;
  subject: string;
  text: string;
}

/** How a service is started. */
export interface Setup {
  /** More flags of `keyhaven serve`. */
  flags?: string[];
  /** Where people reach it, when that is not where it listens: something stands between. */
  publicPort?: number;
}

const FAKETIME = process.env['KEYHAVEN_FAKETIME'] ?? '';

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export class Service {
  readonly folder: string;
  /** Where people reach it. Passkeys need a name. */
  readonly origin: string;
  /** Where it listens. */
  readonly port: number;
  #running: Running | undefined;
  #aheadMs = 0;
  readonly #flags: string[];
  readonly #seen = new Set<string>();

  private constructor(folder: string, port: number, setup: Setup) {
    this.folder = folder;
    this.port = port;
    this.origin = `http://localhost:${setup.publicPort ?? port}`;
    this.#flags = setup.flags ?? [];
  }

  static async start(setup: Setup = {}): Promise<Service> {
    const folder = mkdtempSync(join(tmpdir(), 'keyhaven-journey-'));
    const service = new Service(folder, await freePort(), setup);
    service.#setClock();
    await service.run();
    return service;
  }

  async run(): Promise<void> {
    const place = ['--listen', `127.0.0.1:${this.port}`, '--origin', this.origin, '--json'];
    this.#running = new Running(['serve', ...place, ...this.#place(), ...this.#flags], this.environment({}), join(this.folder, 'log'));
    await this.#running.next();
  }

  #place(): string[] {
    return ['--data', join(this.folder, 'data'), '--notices', this.#notices];
  }

  get #notices(): string {
    return join(this.folder, 'notices');
  }

  async stop(): Promise<void> {
    await this.#running?.stop();
    this.#running = undefined;
  }

  /** Stops it and removes all it wrote. */
  async end(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** What it logged so far, since its first start. */
  get log(): string {
    return readFileSync(join(this.folder, 'log'), 'utf8');
  }

  /** Environment of programs that live at the service's time. */
  environment(more: Record<string, string>): NodeJS.ProcessEnv {
    const clock = { LD_PRELOAD: FAKETIME, FAKETIME_TIMESTAMP_FILE: join(this.folder, 'clock') };
    const how = { FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' };
    return cleanEnvironment(FAKETIME === '' ? more : { ...clock, ...how, ...more });
  }

  /** The time that the service has. */
  now(): number {
    return Date.now() + this.#aheadMs;
  }

  /** Whether its clock can be moved on this machine. */
  static get clockMoves(): boolean {
    return FAKETIME !== '';
  }

  /** Lets time pass for the service. Where its clock cannot be moved, it passes. */
  async passTime(ms: number): Promise<void> {
    if (!Service.clockMoves) {
      if (ms > 60_000) throw new Error('the clock cannot be moved: faketime is not installed');
      await new Promise((resolve) => setTimeout(resolve, ms));
      return;
    }
    this.#aheadMs += ms;
    this.#setClock();
  }

  #setClock(): void {
    writeFileSync(join(this.folder, 'clock'), `+${this.#aheadMs / 1000}\n`);
  }

  /** An invite, which makes one account. */
  invite(): string {
    const out = join(this.folder, `invite-${Math.random().toString(36).slice(2)}`);
    report(['serve', 'invite', ...this.#place(), '--out', out], this.environment({}));
    return readLine(out);
  }

  /** All mails so far, oldest first. */
  mails(): Mail[] {
    return this.#mailFiles().map((name) => this.#mail(name));
  }

  #mailFiles(): string[] {
    if (!existsSync(this.#notices)) return [];
    return readdirSync(this.#notices).filter((name) => name.endsWith('.txt')).sort();
  }

  #mail(name: string): Mail {
    const whole = readFileSync(join(this.#notices, name), 'utf8');
    const [head = '', ...rest] = whole.split('\n\n');
    const field = (wanted: string) => head.split('\n').find((line) => line.startsWith(`${wanted}: `))?.slice(wanted.length + 2);
    return { to: field('To') ?? '', subject: field('Subject') ?? '', text: rest.join('\n\n') };
  }

  /** A mail whose subject fits and that was not asked for before. Waits for it: mails are sent beside the answers. */
  async mail(subject: RegExp): Promise<Mail> {
    for (let tries = 0; tries < 200; tries += 1) {
      const name = this.#mailFiles().find((name) => !this.#seen.has(name) && subject.test(this.#mail(name).subject));
      if (name !== undefined) {
        this.#seen.add(name);
        return this.#mail(name);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const subjects = this.mails().map((mail) => mail.subject);
    throw new Error(`no mail ${subject}; there are: ${subjects.join(', ')}`);
  }

  /** A code that was mailed and not asked for before. */
  async mailedCode(): Promise<string> {
    const mail = await this.mail(/^Your Keyhaven code$/);
    const code = /^\s*(\d{6})\s*$/m.exec(mail.text)?.[1];
    if (code === undefined) throw new Error(`no code in ${mail.text}`);
    return code;
  }

  /** A computer of somebody's. */
  computer(name: string): Computer {
    return new Computer(this, name);
  }
}

/** An encrypted drive. */
export interface Drive {
  image: string;
  /** File of its password. */
  secret: string;
  /** Identifier of its recovery key. */
  id: string;
  password: string;
}

/** A computer where the program is used on the command line. */
export class Computer {
  readonly #service: Service;
  readonly folder: string;

  constructor(service: Service, name: string) {
    this.#service = service;
    this.folder = join(service.folder, name);
    mkdirSync(this.folder);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  file(name: string, contents: string | Uint8Array): string {
    writeFileSync(this.path(name), contents);
    return this.path(name);
  }

  environment(more: Record<string, string> = {}): NodeJS.ProcessEnv {
    const place = { KEYHAVEN_STATE: this.path('state'), KEYHAVEN_SERVER: this.#service.origin };
    return this.#service.environment({ ...place, ...more });
  }

  report(args: string[], more: Record<string, string> = {}): any {
    return report(args, this.environment(more));
  }

  run(args: string[], more: Record<string, string> = {}): Ran {
    return run([...args, '--json'], this.environment(more));
  }

  start(args: string[], more: Record<string, string> = {}): Running {
    return new Running([...args, '--json'], this.environment(more));
  }

  /** A new encrypted drive, with a file on it. */
  newDrive(name: string): Drive {
    const image = this.path(name);
    const key = this.path(`${name}.key`);
    const secret = this.file('drive-password', 'a password of the drive');
    const content = this.file('hello.txt', 'hello');
    const how = ['--size', '64M', '--used-space-only', '--password-file', secret, '--add', content];
    const made = this.report(['create', ...how, '--recovery-out', key, image]);
    const password = /\d{6}(-\d{6}){7}/.exec(readFileSync(key, 'utf8').replaceAll('\0', ''))?.[0];
    if (password === undefined) throw new Error('no key was written');
    return { image, secret, id: made.key_id, password };
  }

  /** As `report`, for work that takes long: other journeys go on meanwhile. */
  async finish(args: string[]): Promise<any> {
    const running = this.start(args);
    const document = await running.next(120_000);
    const status = await running.ended();
    if (status !== 0) throw new Error(`keyhaven ${args.join(' ')}: status ${status}\n${running.errors}`);
    return document;
  }

  /** Saves the key of a drive to the account, as this computer may. */
  backup(drive: Drive): Ran {
    return this.run(['backup', '--to', 'account', '--password-file', drive.secret, drive.image]);
  }

  /** An account with two-factor on, made on this computer; gives its authenticator. */
  async signUp(email: string, password: string): Promise<{ phone: Authenticator; kit: string }> {
    const link = this.path('link');
    const codes = this.path('codes');
    const secrets = { KEYHAVEN_INVITE: this.#service.invite(), KEYHAVEN_ACCOUNT_PASSWORD: password };
    // A pipe: the codes are not known before the link is there.
    const { spawnSync } = await import('node:child_process');
    spawnSync('mkfifo', [codes]);
    const files = ['--kit-out', this.path('kit.txt'), '--totp-secret-out', link, '--code-file', codes];
    const running = this.start(['account', 'sign-up', '--email', email, ...files], secrets);
    const limit = Date.now() + 60_000;
    while (!existsSync(link) || !readFileSync(link, 'utf8').endsWith('\n')) {
      if (running.hasEnded || Date.now() > limit) throw new Error(`no sign-up: ${running.errors}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const phone = Authenticator.scan(readLine(link), this.#service);
    // Not at once: nothing in this process may stand still until the program reads.
    await writeFile(codes, `${phone.twoCodes().join('\n')}\n`);
    await running.next();
    await running.ended();
    return { phone, kit: readFileSync(this.path('kit.txt'), 'utf8') };
  }
}
