// Acts that come with a delay of their own. A page offers each where the vault has it.

import type { KitAsks, Millis } from "./vault";

/** What became of a wish for new keys. */
export type StartedOver =
  | { readonly kind: "waiting"; readonly dueAt: Millis; readonly secondFactor: boolean }
  | { readonly kind: "done"; readonly fingerprint: string; readonly mustAddFactor: boolean };

export interface Holds {
  /** Password and kit are gone: begins the delay before new keys, or comes back to make them. `factor` is a code, where one is left. */
  startOver(
    lost: { readonly email: string; readonly password: string; readonly factor?: string | undefined },
    begin: boolean,
    asks: KitAsks,
  ): Promise<StartedOver>;
}
