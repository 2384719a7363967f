// What page and Worker say to each other. The Worker waits for answers in shared memory, since it takes no messages while it waits.

/** Longest answer of the page, in bytes of JSON. */
const MOST_BYTES = 1 << 18;

export interface Mailbox {
  /** 0 while a question is open, 1 when it is answered. */
  readonly state: Int32Array<SharedArrayBuffer>;
  /** Stays 0: to wait for nothing. */
  readonly never: Int32Array<SharedArrayBuffer>;
  readonly length: Int32Array<SharedArrayBuffer>;
  readonly bytes: Uint8Array<SharedArrayBuffer>;
}

export type ToWorker =
  | { readonly kind: "start"; readonly origin: string; readonly kept: string; readonly mailbox: Mailbox }
  /** `kept`: what another page of this browser kept since the call before. */
  | { readonly kind: "call"; readonly id: number; readonly name: string; readonly args: string; readonly kept: string | null };

export type FromWorker =
  | { readonly kind: "ready" }
  | { readonly kind: "broken"; readonly cause: string }
  | { readonly kind: "ask"; readonly question: string; readonly about: string }
  | { readonly kind: "done"; readonly id: number; readonly result: string; readonly changes: string }
  | { readonly kind: "failed"; readonly id: number; readonly failure: string; readonly changes: string };

export function newMailbox(): Mailbox {
  const numbers = (): Int32Array<SharedArrayBuffer> => new Int32Array(new SharedArrayBuffer(4));
  return { state: numbers(), never: numbers(), length: numbers(), bytes: new Uint8Array(new SharedArrayBuffer(MOST_BYTES)) };
}

/** The page's side: what is said, and waking the Worker. What is too long counts as breaking off. */
export function writeAnswer(mailbox: Mailbox, answer: string): void {
  let bytes = new TextEncoder().encode(answer);
  if (bytes.length > mailbox.bytes.length) bytes = new TextEncoder().encode("null");
  mailbox.bytes.set(bytes);
  Atomics.store(mailbox.length, 0, bytes.length);
  Atomics.store(mailbox.state, 0, 1);
  Atomics.notify(mailbox.state, 0);
}

/** The Worker's side. The answer is wiped from the shared memory: it may hold a password. */
export function readAnswer(mailbox: Mailbox): string {
  const bytes = mailbox.bytes.slice(0, Atomics.load(mailbox.length, 0));
  mailbox.bytes.fill(0, 0, bytes.length);
  const text = new TextDecoder().decode(bytes);
  bytes.fill(0);
  return text;
}
