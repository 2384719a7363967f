// The page's side of the vault: calls go to the Worker one after another, and its questions come back to the flow that asked.

import type { Vault } from "./api";
import { type FromWorker, type ToWorker, newMailbox, writeAnswer } from "./mailbox";
import { createPasskey, fromBase64, getPasskey, toBase64 } from "./passkeys";
import workerFile from "./worker?worker&url";

/** Answers to the questions of one call, by name. */
type Asks = Readonly<Record<string, (about: never) => Promise<unknown>>>;

interface Waiting {
  readonly name: string;
  readonly args: string;
  readonly asks: Asks;
  readonly resolve: (result: unknown) => void;
  readonly reject: (failure: unknown) => void;
}

const KEPT = "keyhaven.vault";

/** One Worker of the page. */
class Line {
  private readonly mailbox = newMailbox();
  private readonly worker: Worker;
  private readonly queue: Waiting[] = [];
  private open: Waiting | null = null;
  private ready = false;
  private broken: unknown = null;
  private turn = 0;
  /** What another page kept, until the Worker is told. */
  private newer: string | null = null;

  constructor(origin: string) {
    this.worker = new Worker(workerAddress(), { type: "module" });
    this.worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      void this.hear(data);
    };
    this.worker.onerror = () => {
      this.fail({ code: "page.no_worker" });
    };
    // Told of other pages' changes only.
    addEventListener("storage", ({ key, newValue }) => {
      if (key === KEPT && newValue !== null) this.newer = newValue;
    });
    this.say({ kind: "start", origin, kept: kept(), mailbox: this.mailbox });
  }

  call<T>(name: string, args: readonly unknown[], asks: Asks = {}): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.broken !== null) {
        reject(this.broken as Error);
        return;
      }
      this.queue.push({ name, args: JSON.stringify(args), asks, resolve: resolve as (result: unknown) => void, reject });
      this.next();
    });
  }

  private say(message: ToWorker): void {
    this.worker.postMessage(message);
  }

  private next(): void {
    if (!this.ready || this.open !== null) return;
    const waiting = this.queue.shift();
    if (waiting === undefined) return;
    this.open = waiting;
    this.turn += 1;
    this.say({ kind: "call", id: this.turn, name: waiting.name, args: waiting.args, kept: this.newer });
    this.newer = null;
  }

  private async hear(message: FromWorker): Promise<void> {
    switch (message.kind) {
      case "ready":
        this.ready = true;
        this.next();
        break;
      case "broken":
        // Before it was ready the browser cannot; later something in it went wrong.
        this.fail({ code: this.ready ? "page.fault" : "page.no_worker", cause: message.cause });
        break;
      case "ask":
        writeAnswer(this.mailbox, JSON.stringify((await this.answer(message.question, message.about)) ?? null));
        break;
      case "done":
      case "failed": {
        const waiting = this.open;
        this.open = null;
        keep(message.changes);
        if (message.kind === "done") waiting?.resolve(JSON.parse(message.result, present));
        else waiting?.reject(told(JSON.parse(message.failure) as Told));
        this.next();
      }
    }
  }

  private async answer(question: string, about: string): Promise<unknown> {
    const said: unknown = JSON.parse(about);
    if (question === "createPasskey") return createPasskey(said as Parameters<typeof createPasskey>[0]);
    if (question === "getPasskey") return getPasskey(said as Parameters<typeof getPasskey>[0]);
    try {
      return await this.open?.asks[question]?.(said as never);
    } catch {
      // A page that was left answers nothing more: the flow breaks off.
      return null;
    }
  }

  private fail(failure: unknown): void {
    this.broken = failure;
    for (const waiting of [this.open, ...this.queue.splice(0)]) waiting?.reject(failure);
    this.open = null;
  }
}

/** What is absent is `null` for the client, and not there at all for the pages. A whole answer may be `null`. */
function present(name: string, value: unknown): unknown {
  return value === null && name !== "" ? undefined : value;
}

/** A failure as the client tells it. */
interface Told {
  readonly code: string;
  readonly retryAfter?: number | null;
  readonly at?: number | null;
}

function told(failure: Told): unknown {
  const retryAt = failure.at ?? (failure.retryAfter == null ? undefined : Date.now() + failure.retryAfter * 1000);
  const known = Object.entries({ ...failure, retryAt }).filter(([, value]) => value !== null && value !== undefined);
  return Object.assign(new Error(failure.code), Object.fromEntries(known));
}

/** Pins and receipts of earlier visits; never a secret. Storage may be closed to pages: then each visit is the first. */
function kept(): string {
  try {
    return localStorage.getItem(KEPT) ?? "{}";
  } catch {
    return "{}";
  }
}

function keep(changes: string): void {
  const changed = Object.entries(JSON.parse(changes) as Record<string, string | null>);
  if (changed.length === 0) return;
  try {
    const all = new Map(Object.entries(JSON.parse(kept()) as Record<string, string>));
    for (const [name, value] of changed) {
      if (value === null) all.delete(name);
      else all.set(name, value);
    }
    localStorage.setItem(KEPT, JSON.stringify(Object.fromEntries(all)));
  } catch {
    // See `kept`.
  }
}

interface Policies {
  createPolicy(name: string, rules: { createScriptURL(address: string): string }): { createScriptURL(address: string): unknown };
}

let address: string | null = null;

/** The policy is made once: a second one of its name is refused. */
function workerAddress(): string {
  return (address ??= markedAddress());
}

/** The Worker's own address, marked as one that may be run: the only use of the one policy that the service allows. */
function markedAddress(): string {
  const address = new URL(workerFile, import.meta.url).href;
  const policies = (globalThis as { trustedTypes?: Policies }).trustedTypes;
  if (policies === undefined) return address;
  const own = policies.createPolicy("vault", {
    createScriptURL: (wanted) => {
      if (new URL(wanted).origin !== location.origin) throw new TypeError("not a script of this page");
      return wanted;
    },
  });
  return own.createScriptURL(address) as string;
}

/** What a byte string of the client is to the pages. */
function withBytes<T extends { readonly bytes: unknown }>(found: T): T {
  return { ...found, bytes: fromBase64(found.bytes as string) };
}

/** The vault of the service at `origin`. */
export function connect(origin: string): Vault {
  const line = new Line(origin);
  // A kit or an authenticator is shown while its flow waits for the person, and what waits draws nothing: pictures have a Worker of
  // their own, which is made when the first one is wanted.
  let drawing: Line | null = null;
  const call = <T>(name: string, args: readonly unknown[] = [], asks?: object): Promise<T> => line.call<T>(name, args, asks as Asks);
  return {
    service: async () => {
      const found = await call<{ origin: string; passkeys: boolean }>("service");
      return { ...found, passkeys: found.passkeys && "PublicKeyCredential" in globalThis };
    },
    known: () => call("known"),
    strength: (password, email) => call("strength", [password, email]),
    qr: (text) => (drawing ??= new Line(origin)).call("qr", [text]),

    signUp: (account, asks) => call("signUp", [account], asks),
    signIn: (email, password, asks) => call("signIn", [email, password], asks),
    signInWithPasskey: (asks) => call("signInWithPasskey", [], asks),
    signOut: () => call("signOut"),

    account: () => call("account"),
    factorList: () => call("factorList"),
    addTotp: (label, confirm, asks) =>
      call("addTotp", [label, confirm], { ...asks, codes: ([totp, wrong]: [never, never]) => asks.codes(totp, wrong) }),
    addPasskey: (label, confirm, asks) => call("addPasskey", [label, confirm], asks),
    letPasskeyOpenVault: (factorId, password) => call("letPasskeyOpenVault", [factorId, password]),
    removeFactor: (factorId, confirm, asks) => call("removeFactor", [factorId, confirm], asks),
    makeBackupCodes: (confirm, asks) => call("makeBackupCodes", [confirm], asks),
    replaceKit: (confirm, asks) => call("replaceKit", [confirm], asks),
    changePassword: (confirm, password, asks) => call("changePassword", [confirm, password], asks),
    beginTwoFactorOff: (confirm, asks) => call("beginTwoFactorOff", [confirm], asks),
    deleteRecord: (recordId, confirm, asks) => call("deleteRecord", [recordId, confirm], asks),
    deleteAccount: (confirm, asks) => call("deleteAccount", [confirm], asks),
    waits: () => call("waits"),
    cancelWait: (waitId) => call("cancelWait", [waitId]),
    cancelWaitWithCode: (code) => call("cancelWaitWithCode", [code]),

    records: () => call("records"),
    reveal: async (recordId, reason, confirm, afterwards, asks) => {
      const found = await call<Awaited<ReturnType<Vault["reveal"]>>>("reveal", [recordId, reason, confirm, afterwards], asks);
      return found.file == null ? found : { ...found, file: withBytes(found.file) };
    },
    readKeys: (input, fileName) => {
      const bytes = typeof input === "string" ? new TextEncoder().encode(input) : input;
      return call("readKeys", [toBase64(bytes), fileName ?? null]);
    },
    saveKeys: (handle, indexes, computer) => call("saveKeys", [handle, indexes, computer ?? null]),
    exportKeys: async (passphrase, confirm, asks) => withBytes(await call("exportKeys", [passphrase, confirm], asks)),

    devices: () => call("devices"),
    approveDevice: (userCode, checkCode, confirm, asks) => call("approveDevice", [userCode, checkCode, confirm], asks),
    approveLink: (link, confirm, asks) => call("approveLink", [link, confirm], asks),
    renameDevice: (deviceId, name) => call("renameDevice", [deviceId, name]),
    revokeDevice: (deviceId, confirm, asks) => call("revokeDevice", [deviceId, confirm], asks),

    auditTrail: () => call("auditTrail"),
    auditVerify: () => call("auditVerify"),
    auditExport: async () => fromBase64(await call<string>("auditExport")),

    recoverPassword: (lost, asks) => call("recoverPassword", [lost], asks),
    resetFactors: (email, left, begin, asks) => call("resetFactors", [email, left, begin], asks),
    startOver: (lost, begin, asks) => call("startOver", [lost, begin], asks),
    bringOver: (kitCode, confirm, asks) => call("bringOver", [kitCode, confirm], asks),
  };
}
