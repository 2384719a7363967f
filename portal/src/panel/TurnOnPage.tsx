import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { Button, PageHead, PasswordField, Select, Trouble, go, to, type Failure } from "../ui";
import { api, type Method } from "./api";
import { failure, p } from "./text";

export function MethodField(props: { readonly value: Method; readonly onChange: (method: Method) => void }): JSX.Element {
  const all: readonly Method[] = ["xts_aes128", "xts_aes256", "aes_cbc128", "aes_cbc256"];
  return (
    <Select label={p("method")} value={props.value} onChange={props.onChange} options={all.map((value) => ({ value, label: p(`method.${value}`) }))} />
  );
}

export function TurnOnPage({ id }: { readonly id: string }): JSX.Element {
  const [method, setMethod] = useState<Method>("xts_aes128");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<Failure>();
  const next = (): void => {
    setBusy(true);
    api
      .takeKey({ intent: "encrypt", drive: id, method, ...(password === "" ? {} : { password }) })
      .then(
        (hand) => go(to("key", hand.id)),
        (error: unknown) => setTrouble(failure(error)),
      )
      .finally(() => setBusy(false));
  };
  return (
    <>
      <PageHead title={p("turn_on")} lead={p("turn_on.lead")} back={{ href: to("drive", id), label: p("files.top") }} />
      <div class="stack">
        {trouble !== undefined && <Trouble failure={trouble} focused />}
        <MethodField value={method} onChange={setMethod} />
        <PasswordField label={p("password.optional")} hint={p("password.hint")} use="new" value={password} onInput={setPassword} />
        <Button kind="main" busy={busy} onClick={next}>
          {p("next")}
        </Button>
      </div>
    </>
  );
}
