// The real program, run as a person or an operator runs it.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';

/** The program under test. */
export const PROGRAM = needed('KEYHAVEN_PROGRAM');

/** A variable of the environment that `cargo xtask journeys` sets. */
export function needed(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') {
    throw new Error(`${name} is not set; run the journeys by: cargo xtask journeys`);
  }
  return value;
}

/** What a program said before it ended. */
export interface Ran {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** An environment without what the developer has set for the program. */
export function cleanEnvironment(more: Record<string, string>): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('KEYHAVEN_'));
  return { ...Object.fromEntries(kept), ...more };
}

/** Runs the program to its end. */
export function run(args: string[], environment: NodeJS.ProcessEnv, input = ''): Ran {
  const ran = spawnSync(PROGRAM, args, { env: environment, encoding: 'utf8', input, maxBuffer: 64 << 20 });
  if (ran.error !== undefined) throw ran.error;
  return { status: ran.status, stdout: ran.stdout, stderr: ran.stderr };
}

/** Runs the program to its end, which has to be a good one, and gives its report. */
export function report(args: string[], environment: NodeJS.ProcessEnv, input = ''): any {
  const ran = run([...args, '--json'], environment, input);
  if (ran.status !== 0) throw new Error(`keyhaven ${args.join(' ')}: status ${ran.status}\n${ran.stderr}${ran.stdout}`);
  return JSON.parse(ran.stdout);
}

/** A program that goes on running and reports in JSON documents, one after the other. */
export class Running {
  readonly #child: ChildProcess;
  #text = '';
  #errors = '';
  readonly #ended: Promise<number | null>;
  readonly #log: string | undefined;

  /** `log`: a file for standard error. A pipe that nobody empties, while another program is waited for, would stop the program. */
  constructor(args: string[], environment: NodeJS.ProcessEnv, log?: string) {
    const errors = log === undefined ? 'pipe' : openSync(log, 'a');
    this.#log = log;
    this.#child = spawn(PROGRAM, args, { env: environment, stdio: ['pipe', 'pipe', errors] });
    // A journey that fails half-way does not end what it began.
    process.once('exit', () => this.#child.kill('SIGKILL'));
    if (typeof errors === 'number') closeSync(errors);
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#text += text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#errors += text));
    this.#ended = new Promise((resolve) => this.#child.on('exit', resolve));
  }

  /** The next document. Waits for it. */
  async next(limitMs = 30_000): Promise<any> {
    const end = Date.now() + limitMs;
    for (;;) {
      const document = this.#take();
      if (document !== undefined) return document;
      if (this.#child.exitCode !== null || Date.now() > end) {
        throw new Error(`keyhaven reported nothing more: ${this.#text}\n${this.errors}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  #take(): unknown {
    for (let at = this.#text.indexOf('}'); at >= 0; at = this.#text.indexOf('}', at + 1)) {
      try {
        const document: unknown = JSON.parse(this.#text.slice(0, at + 1));
        this.#text = this.#text.slice(at + 1);
        return document;
      } catch {
        // An inner one ended here.
      }
    }
    return undefined;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null;
  }

  /** What it wrote to standard error. */
  get errors(): string {
    return this.#log === undefined ? this.#errors : readFileSync(this.#log, 'utf8');
  }

  /** Waits until it ends by itself. */
  ended(): Promise<number | null> {
    return this.#ended;
  }

  /** Kills it, as a power cut or the system may, and waits for that. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  /** Ends it and waits for that. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), 5_000);
    await this.#ended;
    clearTimeout(killer);
  }
}

/** A text file without its line end. */
export function readLine(path: string): string {
  return readFileSync(path, 'utf8').trim();
}
