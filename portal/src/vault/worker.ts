// The Worker in which the vault's client runs. It blocks while the network or the person answers: nothing else runs here.

import init, { Vault } from "./pkg/vault.js";
import { type FromWorker, type Mailbox, type ToWorker, readAnswer } from "./mailbox";

interface Exchange {
  readonly status: number;
  readonly body: Uint8Array;
}

const scope = self as unknown as {
  postMessage(message: FromWorker): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  host: unknown;
};

let base = "";
let mailbox: Mailbox | null = null;
let vault: Vault | null = null;

/** Longest that the service may take for one answer. */
const PATIENCE_MS = 60_000;

scope.host = {
  http(method: string, path: string, bearer: string | undefined, body: Uint8Array<ArrayBuffer>): Exchange {
    const request = new XMLHttpRequest();
    request.open(method, base + path, false);
    request.responseType = "arraybuffer";
    request.timeout = PATIENCE_MS;
    request.setRequestHeader("accept", "application/json");
    if (bearer !== undefined) request.setRequestHeader("authorization", `Bearer ${bearer}`);
    try {
      if (method === "GET") {
        request.send();
      } else {
        request.setRequestHeader("content-type", "application/json");
        request.send(body);
      }
    } catch {
      // The cause is in the browser's console; scripts are not told.
      throw "there was no answer";
    }
    return { status: request.status, body: new Uint8Array(request.response as ArrayBuffer) };
  },
  ask(question: string, about: string): string {
    if (mailbox === null) return "null";
    Atomics.store(mailbox.state, 0, 0);
    scope.postMessage({ kind: "ask", question, about });
    Atomics.wait(mailbox.state, 0, 0);
    return readAnswer(mailbox);
  },
  pause(milliseconds: number): void {
    if (mailbox !== null) Atomics.wait(mailbox.never, 0, 0, milliseconds);
  },
};

scope.onmessage = async ({ data }) => {
  if (data.kind === "start") {
    base = data.origin;
    mailbox = data.mailbox;
    try {
      await init();
      // A path of a proxy is where requests go, and no part of who the service is.
      vault = new Vault(new URL(data.origin).origin, data.kept);
      scope.postMessage({ kind: "ready" });
    } catch (error) {
      scope.postMessage({ kind: "broken", cause: String(error) });
    }
    return;
  }
  if (vault === null) return;
  let done: FromWorker;
  try {
    if (data.kept !== null) vault.takeOver(data.kept);
    done = { kind: "done", id: data.id, result: vault.call(data.name, data.args), changes: vault.changes() };
  } catch (error) {
    if (typeof error !== "string") {
      // The client itself has stopped, and nothing in it can be asked any more.
      vault = null;
      scope.postMessage({ kind: "broken", cause: String(error) });
      return;
    }
    done = { kind: "failed", id: data.id, failure: error, changes: vault.changes() };
  }
  scope.postMessage(done);
};
