// One drive: what it is, and what can be done with it now.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { Button, Choices, Facts, Field, Notice, PageHead, PasswordField, Section, Trouble, Waiting, go, to, type Failure } from "../ui";
import { api, type Drive, type Secret } from "./api";
import { JobBox, StateTag, driveName, usePolled } from "./App";
import { failure, p, size } from "./text";

export function DrivePage({ id }: { readonly id: string }): JSX.Element {
  const [drive, missing, again] = usePolled(() => api.drive(id), 3000);
  const [jobs, , jobsAgain] = usePolled(api.jobs, 1000);
  const [trouble, setTrouble] = useState<Failure>();
  const [busy, setBusy] = useState(false);
  if (drive === undefined) return missing === undefined ? <Waiting /> : <Trouble failure={missing} onRetry={again} />;
  const job = jobs?.jobs.find((one) => one.drive === id && one.kind !== "create" && one.state !== "done");
  const act = (done: Promise<unknown>): void => {
    setBusy(true);
    setTrouble(undefined);
    done
      .then(
        () => {
          again();
          jobsAgain();
        },
        (error: unknown) => setTrouble(failure(error)),
      )
      .finally(() => setBusy(false));
  };
  return (
    <>
      <PageHead title={driveName(drive)} back={{ href: to(), label: p("drives.back") }} aside={<StateTag drive={drive} />} />
      {trouble !== undefined && <Trouble failure={trouble} focused />}
      {drive.trouble !== null && <Notice kind="warn">{drive.trouble}</Notice>}
      {drive.rotation_unfinished && <Notice kind="warn">{p("rotate.unfinished")}</Notice>}
      <div class="stack">
        {job !== undefined && <JobBox job={job} again={jobsAgain} />}
        <Facts
          of={[
            [p("choose.path"), drive.name],
            [p("fact.size"), size(drive.bytes)],
            [p("fact.files"), drive.file_system],
            [p("fact.method"), drive.method],
            [p("fact.description"), drive.description],
            [
              p("fact.keys"),
              drive.protectors.length > 0 && (
                <ul>
                  {drive.protectors.map((key) => (
                    <li key={key.identifier}>
                      {p(`kind.${key.kind}`)} <code>{key.key_id}</code>
                    </li>
                  ))}
                </ul>
              ),
            ],
          ]}
        />
        {job === undefined && <Acts drive={drive} busy={busy} act={act} />}
        {drive.image && (
          <Button kind="quiet" onClick={() => void api.removeImage(id).then(() => go(to()), (error: unknown) => setTrouble(failure(error)))}>
            {p("drives.forget")}
          </Button>
        )}
      </div>
    </>
  );
}

function Acts(props: { readonly drive: Drive; readonly busy: boolean; readonly act: (done: Promise<unknown>) => void }): JSX.Element {
  const { drive, busy, act } = props;
  const { id } = drive;
  const [password, setPassword] = useState<string>();
  const take = (intent: "backup" | "rotate"): void => act(api.takeKey({ intent, drive: id }).then((hand) => go(to("key", hand.id))));
  if (drive.conversion !== null) {
    const { direction } = drive.conversion;
    return (
      <Section title={p("go_on")}>
        <p>{p("go_on.text")}</p>
        <Unlock
          drive={drive}
          busy={busy}
          words={p("go_on")}
          onSecret={(secret) => act(api.convert(id, direction, secret))}
          other={{ words: p("go_back"), onSecret: (secret) => act(api.convert(id, direction === "encrypt" ? "decrypt" : "encrypt", secret)) }}
        />
      </Section>
    );
  }
  if (drive.state === "plain" || drive.state === "missing" || drive.state === "damaged") {
    return drive.state === "plain" && !drive.mounted ? (
      <div class="row">
        <a class="button main" href={to("drive", id, "turn-on")}>
          {p("turn_on")}
        </a>
      </div>
    ) : (
      <></>
    );
  }
  if (!drive.unlocked) return <Unlock drive={drive} busy={busy} words={p("unlock")} onSecret={(secret) => act(api.unlock(id, secret))} />;
  return (
    <div class="stack">
      <div class="row">
        <a class="button main" href={to("drive", id, "files")}>
          {p("browse")}
        </a>
        <Button icon="lock" busy={busy} onClick={() => act(api.lock(id))}>
          {p("lock")}
        </Button>
      </div>
      <div class="row">
        <Button icon="save" onClick={() => take("backup")}>
          {p("backup")}
        </Button>
        <Button icon="key" onClick={() => take("rotate")}>
          {p("rotate")}
        </Button>
        {drive.state === "suspended" ? (
          <Button onClick={() => act(api.unsuspend(id))}>{p("unsuspend")}</Button>
        ) : (
          <Button onClick={() => act(api.suspend(id))}>{p("suspend")}</Button>
        )}
        <Button onClick={() => setPassword(password === undefined ? "" : undefined)}>{p("password")}</Button>
      </div>
      {password !== undefined && (
        <form
          class="stack"
          onSubmit={(event) => {
            event.preventDefault();
            act(api.setPassword(id, password).then(() => setPassword(undefined)));
          }}
        >
          <PasswordField label={p("password.new")} hint={p("password.hint")} use="new" value={password} onInput={setPassword} />
          <Button type="submit" kind="main" busy={busy}>
            {p("password")}
          </Button>
        </form>
      )}
      <Section title={p("turn_off")}>
        <p>{p("turn_off.lead")}</p>
        <Button kind="danger" busy={busy} onClick={() => act(api.convert(id, "decrypt"))}>
          {p("turn_off")}
        </Button>
      </Section>
    </div>
  );
}

type Way = "password" | "recovery" | "none";

function Unlock(props: {
  readonly drive: Drive;
  readonly busy: boolean;
  readonly words: string;
  readonly onSecret: (secret: Secret) => void;
  readonly other?: { readonly words: string; readonly onSecret: (secret: Secret) => void };
}): JSX.Element {
  const { drive, other } = props;
  const has = (kind: string): boolean => drive.protectors.some((key) => key.kind === kind);
  const free = has("clear_key") || drive.state === "decrypted";
  const ways: readonly Way[] = [...(free ? (["none"] as const) : []), ...(has("password") ? (["password"] as const) : []), "recovery"];
  const [way, setWay] = useState<Way>(ways[0] ?? "recovery");
  const [text, setText] = useState("");
  const secret = (): Secret =>
    way === "none" ? { kind: "none" } : way === "password" ? { kind: "password", password: text } : { kind: "recovery_key", digits: text };
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        props.onSecret(secret());
        setText("");
      }}
    >
      {ways.length > 1 && (
        <Choices<Way> legend={p("unlock.with")} value={way} onChange={setWay} options={ways.map((value) => ({ value, label: p(`unlock.${value}`) }))} />
      )}
      {way === "password" && <PasswordField label={p("unlock.password")} use="current" value={text} onInput={setText} />}
      {way === "recovery" && <Field label={p("unlock.recovery")} hint={p("unlock.recovery.hint")} value={text} onInput={setText} exact autocomplete="off" />}
      <div class="row">
        <Button type="submit" kind="main" icon="lock" busy={props.busy}>
          {props.words}
        </Button>
        {other !== undefined && <Button onClick={() => other.onSecret(secret())}>{other.words}</Button>}
      </div>
    </form>
  );
}
