// An authenticator app (RFC 6238): SHA-1, six digits, thirty seconds.

import { createHmac } from 'node:crypto';

const STEP_MS = 30_000;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Whose time counts, and who can let it pass. */
export interface Clock {
  now(): number;
  passTime(ms: number): Promise<void>;
}

export class Authenticator {
  readonly #secret: Buffer;
  readonly #clock: Clock;
  /** The step of the newest code that was given away: each is good once. */
  #used = 0;

  private constructor(secret: Buffer, clock: Clock) {
    this.#secret = secret;
    this.#clock = clock;
  }

  /** From an `otpauth://` link. */
  static scan(link: string, clock: Clock): Authenticator {
    const secret = new URL(link).searchParams.get('secret');
    if (secret === null) throw new Error('no secret in the link');
    return Authenticator.typed(secret, clock);
  }

  /** From the secret as text, in any groups. */
  static typed(secret: string, clock: Clock): Authenticator {
    return new Authenticator(base32(secret), clock);
  }

  #step(): number {
    return Math.floor(this.#clock.now() / STEP_MS);
  }

  #codeAt(step: number): string {
    const counter = Buffer.alloc(8);
    counter.writeBigUInt64BE(BigInt(step));
    const mac = createHmac('sha1', this.#secret).update(counter).digest();
    const offset = (mac.at(-1) ?? 0) & 15;
    const number = mac.readUInt32BE(offset) & 0x7fff_ffff;
    return String(number % 1_000_000).padStart(6, '0');
  }

  /** Two codes in a row, as a new authenticator is proven. */
  twoCodes(): [string, string] {
    this.#used = this.#step();
    return [this.#codeAt(this.#used - 1), this.#codeAt(this.#used)];
  }

  /** A code that was not used before. */
  async freshCode(): Promise<string> {
    while (this.#step() <= this.#used) {
      await this.#clock.passTime((this.#used + 1) * STEP_MS - this.#clock.now());
    }
    this.#used = this.#step();
    return this.#codeAt(this.#used);
  }

  /** A code that this authenticator does not show now, nor around now. */
  wrongCode(): string {
    const near = [-2, -1, 0, 1, 2].map((step) => this.#codeAt(this.#step() + step));
    return ['123456', '654321', '111111', '222222', '333333', '444444'].find((code) => !near.includes(code)) ?? '555555';
  }
}

function base32(text: string): Buffer {
  const bytes: number[] = [];
  let bits = 0;
  let value = 0;
  for (const letter of text.toUpperCase().replace(/[\s=-]/g, '')) {
    const digit = ALPHABET.indexOf(letter);
    if (digit < 0) throw new Error(`${letter} is no base32`);
    value = ((value << 5) | digit) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((value >> bits) & 0xff);
    }
  }
  return Buffer.from(bytes);
}
