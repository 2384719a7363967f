// What the pages ask of the vault. Everything is plain data; secrets are texts that live as long as the page shows them.

import type { QrMatrix } from "../ui/Qr";

/** Milliseconds since 1970. */
export type Millis = number;

export interface Service {
  readonly origin: string;
  /** Whether passkeys work under this address and in this browser. */
  readonly passkeys: boolean;
}

/** How an act is confirmed. Where the account asks for no second factor, the code is mailed and asked for meanwhile. */
export type Confirm =
  | { readonly by: "passkey"; readonly password?: string | undefined }
  | { readonly by: "code"; readonly password: string; readonly code: string };

/** Questions in the middle of a flow. `null` breaks it off. */
export interface ConfirmAsks {
  readonly mailedCode: () => Promise<string | null>;
}

export type GivenFactor = { readonly by: "code"; readonly code: string } | { readonly by: "passkey" };

export interface SignedIn {
  readonly email: string;
  readonly fingerprint: string;
  /** Whether this browser knew the account before. */
  readonly knownBefore: boolean;
  /** The session may add a factor, and nothing else. */
  readonly mustAddFactor: boolean;
}

export interface Kit {
  readonly email: string;
  readonly server: string;
  readonly fingerprint: string;
  readonly code: string;
}

export interface NewTotp {
  readonly uri: string;
  readonly secret: string;
}

export interface Account {
  readonly email: string;
  readonly fingerprint: string;
  readonly twoFactor: boolean;
  readonly offAt?: Millis | undefined;
  readonly createdAt: Millis;
}

export interface Factor {
  readonly factorId: string;
  readonly kind: string;
  readonly label: string;
  readonly createdAt: Millis;
  readonly usedAt?: Millis | undefined;
  /** Of a passkey: whether it opens the vault without the password. */
  readonly opensVault?: boolean | undefined;
}

export interface FactorList {
  readonly factors: readonly Factor[];
  readonly backupCodesLeft: number;
  /** Whether adding one has to be confirmed. */
  readonly addNeedsStepUp: boolean;
}

export type WaitKind = "two-factor-off" | "factor-reset" | "new-keys" | "delete-record" | "delete-account";

/** What became of a wish for new keys. */
export type StartedOver =
  | { readonly kind: "waiting"; readonly dueAt: Millis; readonly secondFactor: boolean }
  /** It was to begin, and its delay is over already. */
  | { readonly kind: "due" }
  | { readonly kind: "done"; readonly fingerprint: string; readonly mustAddFactor: boolean };

/** What became of the keys of before a new start, in numbers. */
export interface BroughtOver {
  readonly saved: number;
  /** Wait to be delivered. */
  readonly waiting: number;
  /** Were there already. */
  readonly known: number;
  readonly unreadable: number;
  /** For another time. */
  readonly left: number;
}

export interface Wait {
  readonly waitId: string;
  /** Those that are known; a later service may have others. */
  readonly kind: WaitKind | (string & {});
  readonly target?: string | undefined;
  readonly begunAt: Millis;
  readonly begunBy: string;
  readonly dueAt: Millis;
}

export interface KeyMeta {
  readonly keyId: string;
  readonly volumeType: string;
  readonly mount: string;
  readonly label: string;
  readonly computer: string;
  readonly os: string;
  readonly method: string;
  readonly source: string;
}

export interface SavedKey {
  readonly recordId: string;
  /** `bitlocker-recovery-password`, `bitlocker-external-key`, or a kind that is not known. */
  readonly kind: string;
  readonly meta?: KeyMeta | undefined;
  readonly verified: boolean;
  /** Name of the device that saved it, or `owner`. */
  readonly author: string;
  readonly state: string;
  readonly receivedAt: Millis;
  readonly revealedAt?: Millis | undefined;
  /** What a device found last. */
  readonly finding?: { readonly found: string; readonly at: Millis; readonly by: string } | undefined;
  /** Saved before the account got its present keys: only the kit of that time opens it. */
  readonly former: boolean;
}

export interface Revealed {
  readonly meta: KeyMeta;
  /** 48 digits, of a recovery key. */
  readonly digits?: string | undefined;
  /** The file, of a startup key. */
  readonly file?: { readonly name: string; readonly bytes: Uint8Array } | undefined;
  /** What became of the wish to have it replaced. */
  readonly ordered?: { readonly yes: boolean; readonly why?: string | undefined } | undefined;
}

/** Keys that were found in a file or a text. The keys themselves stay in the Worker until they are saved. */
export interface FoundKeys {
  readonly handle: string;
  readonly format: string;
  readonly rows: readonly FoundKey[];
}

export interface FoundKey {
  readonly index: number;
  readonly fate: "save" | "known" | "refused";
  readonly why?: string | undefined;
  /** Group of digits that is wrong, from 1. */
  readonly wrongGroup?: number | undefined;
  readonly keyId: string;
  readonly computer: string;
  readonly drive: string;
  readonly label: string;
  readonly kind: "recovery-password" | "external-key";
  readonly place: string;
}

export interface SaveOutcome {
  readonly index: number;
  readonly saved: boolean;
  readonly receipt?: { readonly recordId: string; readonly auditSeq: number; readonly committedAt: Millis } | undefined;
  readonly failure?: unknown;
}

export interface Device {
  readonly deviceId: string;
  readonly name: string;
  readonly enrolledName: string;
  readonly capability: string;
  readonly state: string;
  readonly lastSeq: number;
  readonly issuedAt: Millis;
  readonly seenAt?: Millis | undefined;
  readonly revokedAt?: Millis | undefined;
  /** Numbers of saves that the account does not have. */
  readonly gaps?: readonly number[] | undefined;
  readonly openOrders: number;
  readonly verified: boolean;
  /** Enrolled before the account got its present keys: it has to be enrolled again. */
  readonly former: boolean;
}

export interface AuditEntry {
  readonly seq: number;
  readonly at: Millis;
  readonly actor: { readonly kind: string; readonly id: string };
  readonly action: string;
  readonly target: string;
  readonly outcome: string;
  readonly reason?: string | undefined;
  readonly net: string;
  readonly client: string;
}

export interface AuditReport {
  readonly entries: number;
  readonly receipts: number;
  readonly records: number;
  readonly reveals: number;
  readonly remembered: number;
  readonly logged: number;
  readonly pending: number;
  readonly logSize: number;
  readonly firstBadEntry?: number | undefined;
  readonly problems: readonly string[];
  readonly serviceFingerprint?: string | undefined;
}

export interface PasswordStrength {
  readonly score: 0 | 1 | 2 | 3 | 4;
}

export interface NewKeysAsks {
  /** The account has other keys than this browser knew, of this fingerprint: whether they are the ones on the new kit. */
  readonly newKeys: (fingerprint: string) => Promise<boolean>;
}

export interface KitAsks {
  readonly mailedCode: () => Promise<string | null>;
  /** Shows the kit, and tells whether it was kept. `check` says whether these are its last six characters. */
  readonly keepKit: (kit: Kit) => Promise<boolean>;
}

export interface Vault {
  service(): Promise<Service>;
  /** The account that this browser has seen before. */
  known(): Promise<{ readonly email: string; readonly fingerprint: string } | null>;
  strength(password: string, email: string): Promise<PasswordStrength>;
  qr(text: string): Promise<QrMatrix>;

  signUp(account: { email: string; password: string; invite?: string | undefined }, asks: KitAsks): Promise<void>;
  signIn(
    email: string,
    password: string,
    asks: NewKeysAsks & { readonly factor: (kinds: readonly string[]) => Promise<GivenFactor | null> },
  ): Promise<SignedIn>;
  signInWithPasskey(asks: NewKeysAsks & { readonly password: (email: string) => Promise<string | null> }): Promise<SignedIn>;
  signOut(): Promise<void>;

  account(): Promise<Account>;
  factorList(): Promise<FactorList>;
  addTotp(
    label: string,
    confirm: Confirm | null,
    asks: ConfirmAsks & {
      readonly codes: (totp: NewTotp, wrong: unknown) => Promise<readonly [string, string] | null>;
    },
  ): Promise<void>;
  addPasskey(label: string, confirm: Confirm | null, asks: ConfirmAsks): Promise<{ readonly factorId: string }>;
  letPasskeyOpenVault(factorId: string, password: string): Promise<void>;
  removeFactor(factorId: string, confirm: Confirm, asks: ConfirmAsks): Promise<void>;
  makeBackupCodes(
    confirm: Confirm,
    asks: ConfirmAsks & { readonly keep: (codes: readonly string[]) => Promise<boolean> },
  ): Promise<void>;
  replaceKit(confirm: Confirm, asks: ConfirmAsks & { readonly keepKit: (kit: Kit) => Promise<boolean> }): Promise<void>;
  changePassword(confirm: Confirm, password: string, asks: ConfirmAsks): Promise<void>;
  beginTwoFactorOff(confirm: Confirm, asks: ConfirmAsks): Promise<Wait>;
  /** Begins the delay after which a record is deleted. */
  deleteRecord(recordId: string, confirm: Confirm, asks: ConfirmAsks): Promise<Wait>;
  /** Begins the delay after which the account is deleted. */
  deleteAccount(confirm: Confirm, asks: ConfirmAsks): Promise<Wait>;
  waits(): Promise<readonly Wait[]>;
  cancelWait(waitId: string): Promise<void>;
  cancelWaitWithCode(code: string): Promise<void>;

  records(): Promise<readonly SavedKey[]>;
  reveal(
    recordId: string,
    reason: string,
    confirm: Confirm,
    afterwards: "rotate" | "leave",
    asks: ConfirmAsks,
  ): Promise<Revealed>;
  readKeys(input: Uint8Array | string, fileName?: string): Promise<FoundKeys>;
  saveKeys(handle: string, indexes: readonly number[], computer?: string): Promise<readonly SaveOutcome[]>;
  exportKeys(
    passphrase: string,
    confirm: Confirm,
    asks: ConfirmAsks,
  ): Promise<{ readonly name: string; readonly bytes: Uint8Array; readonly keys: number }>;

  devices(): Promise<readonly Device[]>;
  approveDevice(userCode: string, checkCode: string, confirm: Confirm, asks: ConfirmAsks): Promise<string>;
  approveLink(link: string, confirm: Confirm, asks: ConfirmAsks): Promise<string>;
  renameDevice(deviceId: string, name: string): Promise<void>;
  revokeDevice(deviceId: string, confirm: Confirm, asks: ConfirmAsks): Promise<void>;

  auditTrail(): Promise<readonly AuditEntry[]>;
  auditVerify(): Promise<AuditReport>;
  auditExport(): Promise<Uint8Array>;

  recoverPassword(
    lost: { email: string; kitCode: string; password: string },
    asks: KitAsks & { readonly factor: (wrong: unknown) => Promise<string | null> },
  ): Promise<void>;
  /** The result is until when the delay runs; `null`: it is over, and the session may add a factor. */
  resetFactors(
    email: string,
    left:
      | { readonly with: "password"; readonly password: string }
      | { readonly with: "kit"; readonly kitCode: string; readonly password: string },
    begin: boolean,
    asks: KitAsks,
  ): Promise<Millis | null>;
  /**
   * Password and kit are gone: begins the delay before new keys, or comes back to make them. `factor` is a code, where one is left;
   * `password` is the new one, and counts only for who comes back.
   */
  startOver(
    lost: { readonly email: string; readonly password: string; readonly factor?: string | undefined },
    begin: boolean,
    asks: KitAsks,
  ): Promise<StartedOver>;
  /** The kit of before a new start turned up: its keys are saved again under the present ones. */
  bringOver(kitCode: string, confirm: Confirm, asks: ConfirmAsks): Promise<BroughtOver>;
}
