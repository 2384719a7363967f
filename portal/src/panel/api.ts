// The panel's HTTP interface, typed. The session is kept for this tab alone and goes into a header, never into an address.

export type DriveState =
  | "plain"
  | "encrypted"
  | "suspended"
  | "encrypting"
  | "decrypting"
  | "converting"
  | "decrypted"
  | "damaged"
  | "missing";
export type ProtectorKind = "recovery_password" | "password" | "external_key" | "clear_key" | "tpm" | "public_key" | "unknown";
export type Direction = "encrypt" | "decrypt";
export type Method = "xts_aes128" | "xts_aes256" | "aes_cbc128" | "aes_cbc256";

export interface Protector {
  readonly identifier: string;
  readonly key_id: string;
  readonly kind: ProtectorKind;
  readonly kind_name: string;
  readonly name: string | null;
  readonly modified: string;
  readonly usable: boolean;
}

export interface Drive {
  readonly id: string;
  readonly name: string;
  readonly image: boolean;
  readonly model: string | null;
  readonly removable: boolean;
  readonly bytes: number;
  readonly state: DriveState;
  readonly label: string | null;
  readonly file_system: string | null;
  readonly description: string | null;
  readonly method: string | null;
  readonly protectors: readonly Protector[];
  readonly conversion: {
    readonly direction: Direction;
    readonly restoring: boolean;
    readonly encrypted_bytes: number;
    readonly total_bytes: number;
  } | null;
  readonly job: string | null;
  readonly unlocked: boolean;
  readonly mounted: boolean;
  readonly rotation_unfinished: boolean;
  readonly copies_usable: number | null;
  readonly trouble: string | null;
}

export interface Drives {
  readonly drives: readonly Drive[];
  readonly not_opened: readonly { readonly name: string; readonly no_rights: boolean; readonly reason: string }[];
  readonly trouble: string | null;
}

export interface FileEntry {
  readonly name: string;
  readonly kind: "file" | "folder" | "link" | "other";
  readonly bytes: number;
  readonly modified_ms: number | null;
  readonly hidden: boolean;
}

export interface Files {
  readonly path: string;
  readonly entries: readonly FileEntry[];
  readonly problems: readonly string[];
  readonly truncated: boolean;
}

export interface Place {
  readonly name: string;
  readonly path: string;
  readonly folder: boolean;
  readonly bytes: number;
}

export interface Folder {
  readonly path: string;
  readonly parent: string | null;
  readonly places: readonly Place[];
  readonly entries: readonly Place[];
  readonly truncated: boolean;
}

export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string | null;
  readonly next: string | null;
  readonly help: string | null;
}

export interface Job {
  readonly id: string;
  readonly kind: "encrypt" | "decrypt" | "create";
  readonly state: "running" | "stopping" | "paused" | "done" | "failed";
  readonly drive: string;
  readonly drive_name: string;
  readonly done_bytes: number;
  readonly total_bytes: number;
  readonly seconds_left: number | null;
  readonly can_pause: boolean;
  readonly problem: Problem | null;
}

export interface KeyInHand {
  readonly id: string;
  readonly intent: "encrypt" | "create" | "add" | "rotate" | "backup";
  readonly drive_name: string;
  readonly drive: string | null;
  readonly identifier: string;
  readonly key_id: string;
  readonly account: number | null;
  readonly files: readonly string[];
  readonly printed: boolean;
  readonly printed_confirmed: boolean;
  readonly confirmed: boolean;
}

export interface Account {
  readonly server: string | null;
  readonly email: string | null;
  readonly enrolled: boolean;
  readonly waiting: number;
}

export interface Enrolling {
  readonly server: string;
  readonly user_code: string;
  /** Where two codes are typed. */
  readonly check_code: string | null;
  /** Where a link is opened in place of them. */
  readonly link: string | null;
  readonly picture: { readonly size: number; readonly bits: readonly number[] } | null;
}

export type Secret =
  | { readonly kind: "recovery_key"; readonly digits: string }
  | { readonly kind: "password"; readonly password: string }
  | { readonly kind: "key_file"; readonly file: string }
  | { readonly kind: "none" };

export type TakeKey =
  | { readonly intent: "encrypt"; readonly drive: string; readonly method: Method; readonly password?: string }
  | {
      readonly intent: "create";
      readonly path: string;
      readonly bytes: number;
      readonly method: Method;
      readonly file_system: "fat32" | "ntfs" | "exfat";
      readonly label: string;
      readonly full: boolean;
      readonly password?: string;
    }
  | { readonly intent: "add" | "rotate" | "backup"; readonly drive: string; readonly secret?: Secret };

/** What the panel refused, or that it does not answer. */
export class Refusal extends Error {
  constructor(readonly problem: Problem) {
    super(problem.code);
  }
}

const KEPT = "keyhaven.panel";
let session = sessionStorage.getItem(KEPT);

export function isIn(): boolean {
  return session !== null;
}

function forget(): void {
  session = null;
  sessionStorage.removeItem(KEPT);
}

async function send(method: string, path: string, body?: unknown): Promise<Response> {
  const headers: Record<string, string> = {};
  if (session !== null) headers["Authorization"] = `Bearer ${session}`;
  if (method === "POST") headers["Content-Type"] = "application/json";
  const asked: RequestInit = { method, headers, cache: "no-store", credentials: "omit", redirect: "error" };
  if (method === "POST") asked.body = JSON.stringify(body ?? {});
  let response: Response;
  try {
    response = await fetch(path, asked);
  } catch {
    throw new Refusal({ status: 0, code: "panel.ended", title: "", detail: null, next: null, help: null });
  }
  if (!response.ok) {
    const problem = (await response.json()) as Problem;
    if (problem.code === "panel.session") forget();
    throw new Refusal(problem);
  }
  return response;
}

async function get<T>(path: string): Promise<T> {
  return (await (await send("GET", path)).json()) as T;
}

async function post<T>(path: string, body?: unknown): Promise<T> {
  const response = await send("POST", path, body);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/** Exchanges the token of the link for a session. */
export async function enter(token: string): Promise<void> {
  const { session: opened } = await post<{ session: string }>("api/enter", { token });
  session = opened;
  sessionStorage.setItem(KEPT, opened);
}

const drive = (id: string, what: string): string => `api/drives/${id}/${what}`;
const key = (id: string, what: string): string => `api/keys/${id}/${what}`;

export const api = {
  leave: async (): Promise<void> => {
    await post<undefined>("api/leave");
    forget();
  },
  drives: () => get<Drives>("api/drives"),
  drive: (id: string) => get<Drive>(`api/drives/${id}`),
  choose: (path: string) => post<Drives>("api/images", { path }),
  removeImage: (id: string) => send("DELETE", `api/images/${id}`),
  folder: (path: string | null) => post<Folder>("api/folder", { path }),
  unlock: (id: string, secret: Secret) => post<Drive>(drive(id, "unlock"), { secret }),
  lock: (id: string) => post<Drive>(drive(id, "lock")),
  files: (id: string, path: string) => post<Files>(drive(id, "files"), { path }),
  download: (id: string, paths: readonly string[]) => post<{ address: string; name: string }>(drive(id, "download"), { paths }),
  convert: (id: string, direction: Direction, secret?: Secret) => post<Job>(drive(id, "convert"), { direction, secret }),
  setPassword: (id: string, password: string, secret?: Secret) => post<Drive>(drive(id, "password"), { password, secret }),
  addKeyFile: (id: string, folder: string) => post<{ path: string; drive: Drive }>(drive(id, "key-file"), { folder }),
  removeProtector: (id: string, identifier: string) => post<Drive>(drive(id, "remove-protector"), { identifier }),
  suspend: (id: string, secret?: Secret) => post<Drive>(drive(id, "suspend"), { secret }),
  unsuspend: (id: string) => post<Drive>(drive(id, "unsuspend")),
  keys: () => get<{ keys: readonly KeyInHand[] }>("api/keys"),
  takeKey: (asked: TakeKey) => post<KeyInHand>("api/keys", asked),
  dropKey: (id: string) => send("DELETE", `api/keys/${id}`),
  showKey: (id: string) => post<{ digits: string }>(key(id, "show")),
  keyToAccount: (id: string) => post<KeyInHand>(key(id, "account")),
  keyToFile: (id: string, path: string) => post<KeyInHand>(key(id, "file"), { path }),
  keySheet: async (id: string): Promise<Uint8Array> => {
    const response = await send("POST", key(id, "sheet"), { paper: "a4" });
    return new Uint8Array(await response.arrayBuffer());
  },
  confirmSheet: (id: string, last_group: string) => post<KeyInHand>(key(id, "confirm"), { last_group }),
  go: (id: string) => post<{ job: Job | null; drive: Drive | null }>(key(id, "go")),
  jobs: () => get<{ jobs: readonly Job[] }>("api/jobs"),
  pause: (id: string) => post<Job>(`api/jobs/${id}/pause`),
  resume: (id: string) => post<Job>(`api/jobs/${id}/resume`),
  account: () => get<Account>("api/account"),
  enrol: (byLink: boolean, server?: string) =>
    post<Enrolling>("api/account/enrol", { by_link: byLink, ...(server === undefined ? {} : { server }) }),
  enrolment: () => get<{ state: "none" | "waiting" | "done" }>("api/account/enrol"),
} as const;
