// What the pages share: the vault, who is signed in, and what was read last. All of it is gone when the page is left.

import { type Signal, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { type Failure, go, to } from "../ui";
import type { Account, AuditEntry, Device, FactorList, SavedKey, Service, SignedIn, Vault, Wait } from "./vault";

let made: Vault | null = null;

/** Called once, before the first page. */
export function useVault(vault: Vault): void {
  made = vault;
}

export function vault(): Vault {
  if (made === null) throw new Error("the vault is not there yet");
  return made;
}

/** Who is signed in. */
export const session = signal<SignedIn | null>(null);
/** Why nobody is signed in any more. */
export const ended = signal<"expired" | "signed-out" | null>(null);

/** A thing that is read from the service, and read again when it may have changed. */
export interface Read<T> {
  readonly value: Signal<T | null>;
  readonly failure: Signal<Failure | null>;
  readonly load: () => Promise<void>;
  readonly forget: () => void;
}

function read<T>(load: (vault: Vault) => Promise<T>): Read<T> {
  const value = signal<T | null>(null);
  const failure = signal<Failure | null>(null);
  let turn = 0;
  return {
    value,
    failure,
    load: async () => {
      turn += 1;
      const mine = turn;
      try {
        const found = await load(vault());
        if (mine !== turn) return;
        value.value = found;
        failure.value = null;
      } catch (error) {
        if (mine === turn) failure.value = failureOf(error);
      }
    },
    forget: () => {
      turn += 1;
      value.value = null;
      failure.value = null;
    },
  };
}

export const service: Read<Service> = read((from) => from.service());
export const account: Read<Account> = read((from) => from.account());
export const factors: Read<FactorList> = read((from) => from.factorList());
export const waits: Read<readonly Wait[]> = read((from) => from.waits());
export const keys: Read<readonly SavedKey[]> = read((from) => from.records());
export const devices: Read<readonly Device[]> = read((from) => from.devices());
export const trail: Read<readonly AuditEntry[]> = read((from) => from.auditTrail());

/** Reads it when the page comes; what was read before is shown meanwhile. */
export function useRead<T>(what: Read<T>): { value: T | null; failure: Failure | null; again: () => void } {
  useEffect(() => {
    void what.load();
  }, [what]);
  return { value: what.value.value, failure: what.failure.value, again: () => void what.load() };
}

function forgetAll(): void {
  for (const one of [account, factors, waits, keys, devices, trail]) one.forget();
}

export function enter(signedIn: SignedIn): void {
  forgetAll();
  ended.value = null;
  session.value = signedIn;
}

export function leave(why: "expired" | "signed-out"): void {
  forgetAll();
  session.value = null;
  ended.value = why;
  // Who signed out is done here; whoever is out because time passed comes back to where they were.
  if (why === "signed-out") go(to(), true);
}

/** What is told about an error. One that ends the session ends it here, too. */
export function failureOf(error: unknown): Failure {
  const told = error as Partial<Failure> | null;
  if (typeof told?.code === "string" && told.code !== "") {
    if (told.code === "auth.session_expired" && session.value !== null) leave("expired");
    return {
      code: told.code,
      title: told.title ?? (error instanceof Error ? error.message : undefined),
      cause: told.cause,
      next: told.next,
      helpUrl: told.helpUrl ?? (told.code.startsWith("page.") ? undefined : `help/${told.code}`),
      requestId: told.requestId,
      retryAt: told.retryAt,
    };
  }
  return { code: "page.fault", cause: error instanceof Error ? error.message : undefined };
}

/** Whether the person broke it off; that is no failure to tell. */
export function wasCancelled(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === "page.cancelled";
}
