// The back-up step: nothing is encrypted before the key is somewhere else.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { Button, Card, Field, KeyView, Notice, PageHead, Trouble, Waiting, go, saveFile, to, type Failure } from "../ui";
import { Chooser } from "./ChoosePage";
import { Enrol } from "./Enrol";
import { api, type Account, type KeyInHand } from "./api";
import { Steady } from "./Steady";
import { failure, p } from "./text";

/** How long a key stays on the screen. */
const SHOWN_MS = 120_000;

export function KeyPage({ id }: { readonly id: string }): JSX.Element {
  const [hand, setHand] = useState<KeyInHand>();
  const [account, setAccount] = useState<Account>();
  const [digits, setDigits] = useState<string>();
  const [until, setUntil] = useState(0);
  const [folder, setFolder] = useState<string>();
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState("");
  const [trouble, setTrouble] = useState<Failure>();
  const failed = (error: unknown): void => setTrouble(failure(error));
  useEffect(() => {
    api.keys().then(({ keys }) => {
      const found = keys.find((key) => key.id === id);
      if (found === undefined) go(to(), true);
      else setHand(found);
    }, failed);
    api.account().then(setAccount, failed);
  }, [id]);
  useEffect(() => {
    if (digits === undefined) return;
    const end = setTimeout(() => setDigits(undefined), Math.max(0, until - Date.now()));
    return () => clearTimeout(end);
  }, [digits, until]);
  if (hand === undefined)
    return (
      <>
        <PageHead title={p("key.title")} lead={p("key.lead")} />
        {trouble === undefined ? <Waiting /> : <Trouble failure={trouble} />}
      </>
    );
  const act = (name: string, done: Promise<KeyInHand>): void => {
    setBusy(name);
    setTrouble(undefined);
    done.then(setHand, failed).finally(() => setBusy(""));
  };
  const print = (): void => {
    setBusy("print");
    api
      .keySheet(id)
      .then((pdf) => {
        saveFile(`${hand.key_id}.pdf`, pdf, "application/pdf");
        setHand({ ...hand, printed: true });
      }, failed)
      .finally(() => setBusy(""));
  };
  const finish = (): void => {
    setBusy("go");
    api
      .go(id)
      .then((gone) => {
        const drive = gone.drive?.id ?? (hand.intent === "create" ? undefined : hand.drive);
        go(drive === undefined || drive === null ? to() : to("drive", drive));
      }, failed)
      .finally(() => setBusy(""));
  };
  const connected = (): void => {
    api.account().then(setAccount, failed);
  };
  const show = (): void => {
    api.showKey(id).then((shown) => {
      setUntil(Date.now() + SHOWN_MS);
      setDigits(shown.digits);
    }, failed);
  };
  const cancel = (): void => void api.dropKey(id).finally(() => go(to()));
  const last = hand.intent === "encrypt" || hand.intent === "create" || hand.intent === "rotate" ? p(`key.go.${hand.intent}`) : p("key.go.done");
  return (
    <>
      <PageHead title={p("key.title")} lead={p("key.lead")} />
      <div class="stack">
        {trouble !== undefined && <Trouble failure={trouble} focused />}
        <p>
          {hand.drive_name} · {p("key.id")} <code>{hand.key_id}</code>
        </p>
        <Card label={p("key.account")}>
          <Steady>
          {hand.account !== null ? (
            <Notice kind="good" live="status">
              {p("key.account.done", { entry: hand.account })}
            </Notice>
          ) : account?.enrolled ? (
            <Button icon="save" busy={busy === "account"} onClick={() => act("account", api.keyToAccount(id))}>
              {p("key.account")}
            </Button>
          ) : (
            account !== undefined && (
              <>
                <h2>{p("key.account")}</h2>
                <Enrol server={account.server} onDone={connected} />
              </>
            )
          )}
          </Steady>
        </Card>
        <Card label={p("key.file")}>
          {hand.files.map((file) => (
            <Notice key={file} kind="good" live="status">
              {p("key.file.done", { path: file })}
            </Notice>
          ))}
          {folder === undefined ? (
            <Button icon="folder" onClick={() => setFolder("")}>
              {p("key.file")}
            </Button>
          ) : (
            <div class="stack">
              <p class="strong">{p("key.file.folder")}</p>
              <Chooser path={folder} onPath={setFolder} folders />
              <Button busy={busy === "file"} off={folder === ""} onClick={() => act("file", api.keyToFile(id, folder))}>
                {p("key.file")}
              </Button>
            </div>
          )}
        </Card>
        <Card label={p("key.print")}>
          {hand.printed_confirmed ? (
            <Notice kind="good" live="status">
              {p("key.print.done")}
            </Notice>
          ) : (
            <div class="stack">
              <Button icon="print" busy={busy === "print"} onClick={print}>
                {p("key.print")}
              </Button>
              {hand.printed && (
                <>
                  <Field label={p("key.print.last")} value={typed} onInput={setTyped} exact maxLength={6} />
                  <Button busy={busy === "confirm"} onClick={() => act("confirm", api.confirmSheet(id, typed))}>
                    {p("key.print.confirm")}
                  </Button>
                </>
              )}
            </div>
          )}
        </Card>
        {digits === undefined ? (
          <Button kind="quiet" icon="eye" onClick={show}>
            {p("key.show")}
          </Button>
        ) : (
          <KeyView digits={digits} until={until} onHide={() => setDigits(undefined)} onLonger={() => setUntil(Date.now() + SHOWN_MS)} />
        )}
        <div class="row">
          <Button kind="main" busy={busy === "go"} off={!hand.confirmed} onClick={finish}>
            {last}
          </Button>
          <Button kind="quiet" onClick={cancel}>
            {p("key.cancel")}
          </Button>
        </div>
      </div>
    </>
  );
}
