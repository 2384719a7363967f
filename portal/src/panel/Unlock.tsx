// What opens a drive: a password, the recovery key, a key file, or nothing where protection is suspended.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { Button, Choices, Field, FileDrop, PasswordField } from "../ui";
import type { Drive, Secret } from "./api";
import { p } from "./text";

type Way = "password" | "recovery" | "key_file" | "none";

/** No key file is larger. */
const KEY_FILE_BYTES = 64 * 1024;

interface KeyFile {
  readonly name: string;
  readonly base64: string;
}

function waysOf(drive: Drive): readonly Way[] {
  const has = (kind: string): boolean => drive.protectors.some((key) => key.kind === kind);
  const ways: Way[] = [];
  if (has("clear_key") || drive.state === "decrypted") ways.push("none");
  if (has("password")) ways.push("password");
  ways.push("recovery");
  if (has("external_key")) ways.push("key_file");
  return ways;
}

export function Unlock(props: {
  readonly drive: Drive;
  readonly busy: boolean;
  readonly words: string;
  readonly onSecret: (secret: Secret) => void;
  readonly other?: { readonly words: string; readonly onSecret: (secret: Secret) => void };
}): JSX.Element {
  const { other } = props;
  const ways = waysOf(props.drive);
  const [way, setWay] = useState<Way>(ways[0] ?? "recovery");
  const [text, setText] = useState("");
  const [file, setFile] = useState<KeyFile>();
  const secret = (): Secret => {
    switch (way) {
      case "none":
        return { kind: "none" };
      case "password":
        return { kind: "password", password: text };
      case "key_file":
        return { kind: "key_file", file: file?.base64 ?? "" };
      case "recovery":
        return { kind: "recovery_key", digits: text };
    }
  };
  const missing = way === "key_file" ? file === undefined : way !== "none" && text === "";
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        props.onSecret(secret());
        setText("");
        setFile(undefined);
      }}
    >
      {ways.length > 1 && (
        <Choices<Way> legend={p("unlock.with")} value={way} onChange={setWay} options={ways.map((value) => ({ value, label: p(`unlock.${value}`) }))} />
      )}
      {way === "password" && <PasswordField label={p("unlock.password.field")} use="current" value={text} onInput={setText} />}
      {way === "recovery" && <Field label={p("unlock.recovery.field")} hint={p("unlock.recovery.hint")} value={text} onInput={setText} exact autocomplete="off" />}
      {way === "key_file" && <KeyFileField file={file} onFile={setFile} />}
      <div class="buttons">
        <Button type="submit" kind="main" icon="lock" busy={props.busy} off={missing}>
          {props.words}
        </Button>
        {other !== undefined && (
          <Button off={missing} onClick={() => other.onSecret(secret())}>
            {other.words}
          </Button>
        )}
      </div>
    </form>
  );
}

function KeyFileField(props: { readonly file: KeyFile | undefined; readonly onFile: (file: KeyFile) => void }): JSX.Element {
  const take = async (file: File | undefined): Promise<void> => {
    if (file === undefined || file.size > KEY_FILE_BYTES) return;
    const bytes = new Uint8Array(await file.arrayBuffer());
    props.onFile({ name: file.name, base64: btoa(String.fromCharCode(...bytes)) });
    bytes.fill(0);
  };
  return (
    <div class="stack">
      <FileDrop title={p("unlock.key_file.drop")} hint={p("unlock.key_file.hint")} accept=".bek,.BEK" onFiles={([first]) => void take(first)} />
      {props.file !== undefined && (
        <p>
          <code>{props.file.name}</code>
        </p>
      )}
    </div>
  );
}
