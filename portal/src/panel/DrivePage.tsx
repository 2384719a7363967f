// One drive: what it is, and what can be done with it now.

import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";

import { Button, Dialog, Facts, Notice, PageHead, PasswordField, Section, Trouble, Waiting, go, to, type Failure } from "../ui";
import { api, type Drive } from "./api";
import { JobBox, StateTag, driveName, usePolled } from "./App";
import { KeysOfDrive } from "./KeysOfDrive";
import { failure, p, size } from "./text";
import { Unlock } from "./Unlock";

export function DrivePage({ id }: { readonly id: string }): JSX.Element {
  const [drive, missing, again] = usePolled(() => api.drive(id), 3000);
  const [jobs, , jobsAgain] = usePolled(api.jobs, 1000);
  const [trouble, setTrouble] = useState<Failure>();
  const [busy, setBusy] = useState(false);
  // Work that ends while somebody looks stays until they go on: nothing on the page jumps under their hands.
  const watched = useRef(new Set<string>());
  if (drive === undefined)
    return (
      <>
        <PageHead title={p("files.top")} back={{ href: to(), label: p("drives.back") }} />
        {missing === undefined ? <Waiting /> : <Trouble failure={missing} onRetry={again} />}
      </>
    );
  const job = jobs?.jobs.find((one) => one.drive === id && one.kind !== "create" && (one.state !== "done" || watched.current.has(one.id)));
  if (job !== undefined && job.state !== "done") watched.current.add(job.id);
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
      <div class="stack">
        {trouble !== undefined && <Trouble failure={trouble} focused />}
        {drive.trouble !== null && <Notice kind="warn">{drive.trouble}</Notice>}
        {drive.rotation_unfinished && <Notice kind="warn">{p("rotate.unfinished")}</Notice>}
        {job !== undefined && (
          <JobBox
            job={job}
            again={jobsAgain}
            onDone={() => {
              watched.current.delete(job.id);
              again();
              jobsAgain();
            }}
          />
        )}
        <Facts
          of={[
            [p("choose.path"), drive.name],
            [p("fact.size"), size(drive.bytes)],
            [p("fact.files"), drive.file_system],
            [p("fact.method"), drive.method],
            [p("fact.description"), drive.description],
          ]}
        />
        {job === undefined && <Acts drive={drive} busy={busy} act={act} />}
        {drive.protectors.length > 0 && <KeysOfDrive drive={drive} change={job === undefined && drive.unlocked} act={act} />}
        {job === undefined && drive.unlocked && <TurnOff id={id} busy={busy} act={act} />}
        {drive.image && (
          <div>
          <Button kind="quiet" onClick={() => void api.removeImage(id).then(() => go(to()), (error: unknown) => setTrouble(failure(error)))}>
            {p("drives.forget")}
          </Button>
          </div>
        )}
      </div>
    </>
  );
}

function Acts(props: { readonly drive: Drive; readonly busy: boolean; readonly act: (done: Promise<unknown>) => void }): JSX.Element {
  const { drive, busy, act } = props;
  const { id } = drive;
  const [password, setPassword] = useState<string>();
  const [asking, setAsking] = useState<"suspend">();
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
          <Button onClick={() => setAsking("suspend")}>{p("suspend")}</Button>
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
      {asking === "suspend" && (
        <Sure title={p("suspend.sure")} lead={p("suspend.lead")} words={p("suspend")} onClose={() => setAsking(undefined)} onSure={() => act(api.suspend(id))} />
      )}
    </div>
  );
}

function TurnOff(props: { readonly id: string; readonly busy: boolean; readonly act: (done: Promise<unknown>) => void }): JSX.Element {
  const [asking, setAsking] = useState(false);
  return (
    <Section title={p("turn_off")}>
      <div class="stack">
        <p>{p("turn_off.lead")}</p>
        <div>
          <Button kind="danger" busy={props.busy} onClick={() => setAsking(true)}>
            {p("turn_off")}
          </Button>
        </div>
      </div>
      {asking && (
        <Sure
          title={p("turn_off.sure")}
          lead={p("turn_off.lead")}
          words={p("turn_off")}
          onClose={() => setAsking(false)}
          onSure={() => props.act(api.convert(props.id, "decrypt"))}
        />
      )}
    </Section>
  );
}

/** Asks once more before something that weakens the drive. */
export function Sure(props: {
  readonly title: string;
  readonly lead: string;
  readonly words: string;
  readonly onClose: () => void;
  readonly onSure: () => void;
}): JSX.Element {
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <div class="stack">
        <p>{props.lead}</p>
        <div class="buttons">
          <Button
            kind="danger-main"
            onClick={() => {
              props.onClose();
              props.onSure();
            }}
          >
            {props.words}
          </Button>
          <Button kind="quiet" onClick={props.onClose}>
            {p("sure.no")}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
