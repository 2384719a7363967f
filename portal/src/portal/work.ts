import { useState } from "preact/hooks";

import type { Failure } from "../ui";
import { failureOf, wasCancelled } from "./state";

export interface Work {
  readonly busy: boolean;
  readonly failure: Failure | null;
  /** Does it, once at a time. The result tells whether it went well. */
  readonly run: (act: () => Promise<void>) => Promise<boolean>;
  readonly fail: (failure: Failure | null) => void;
}

/** An act with its states: at work, failed, done. */
export function useWork(): Work {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  return {
    busy,
    failure,
    fail: setFailure,
    run: async (act) => {
      if (busy) return false;
      setBusy(true);
      setFailure(null);
      try {
        await act();
        return true;
      } catch (error) {
        if (!wasCancelled(error)) setFailure(failureOf(error));
        return false;
      } finally {
        setBusy(false);
      }
    },
  };
}
