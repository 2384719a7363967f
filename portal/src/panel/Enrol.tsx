// Connects this computer with the account: a link or two codes here, the second factor where the owner is signed in.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { Button, Field, Qr, Trouble, Waiting, type Failure } from "../ui";
import { api, type Enrolling } from "./api";
import { failure, p } from "./text";

export function Enrol({ server, onDone }: { readonly server: string | null; readonly onDone: () => void }): JSX.Element {
  const [address, setAddress] = useState(server ?? "");
  const [asked, setAsked] = useState<Enrolling>();
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<Failure>();
  useEffect(() => {
    if (asked === undefined) return;
    const timer = setInterval(() => {
      api.enrolment().then(
        ({ state }) => {
          if (state === "done") onDone();
          if (state === "none") setAsked(undefined);
        },
        (error: unknown) => {
          setTrouble(failure(error));
          setAsked(undefined);
        },
      );
    }, 2000);
    return () => clearInterval(timer);
  }, [asked]);
  const start = (byLink: boolean): void => {
    setBusy(true);
    setTrouble(undefined);
    api
      .enrol(byLink, address === "" ? undefined : address)
      .then(setAsked, (error: unknown) => setTrouble(failure(error)))
      .finally(() => setBusy(false));
  };
  return (
    <div class="stack">
      <p class="strong">{p("enrol.title")}</p>
      {trouble !== undefined && <Trouble failure={trouble} />}
      {asked === undefined ? (
        <>
          <p class="soft">{p("enrol.lead")}</p>
          <Field label={p("enrol.server")} hint={p("enrol.server.hint")} type="url" value={address} onInput={setAddress} exact />
          <div class="buttons">
            <Button kind="main" icon="device" busy={busy} off={address === ""} onClick={() => start(true)}>
              {p("enrol.start")}
            </Button>
            <Button busy={busy} off={address === ""} onClick={() => start(false)}>
              {p("enrol.codes")}
            </Button>
          </div>
        </>
      ) : (
        <Asked asked={asked} />
      )}
    </div>
  );
}

function Asked({ asked }: { readonly asked: Enrolling }): JSX.Element {
  return (
    <>
      {asked.link !== null ? (
        <>
          <p>{p("enrol.link.text")}</p>
          {asked.picture !== null && <Qr matrix={asked.picture} label={p("enrol.picture")} />}
          <p>
            <a href={asked.link} target="_blank" rel="noopener noreferrer">
              {p("enrol.link")}
            </a>
          </p>
        </>
      ) : (
        <>
          <p>{p("enrol.text", { server: asked.server })}</p>
          <p>
            {p("enrol.code")}: <code class="strong">{asked.user_code}</code>
          </p>
          <p>
            {p("enrol.check")}: <code class="strong">{asked.check_code}</code>
          </p>
        </>
      )}
      <Waiting what={p("enrol.waiting")} />
    </>
  );
}
