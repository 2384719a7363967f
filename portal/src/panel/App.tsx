// The panel's pages, by the fragment of the address.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { language } from "../i18n";
import { Button, Empty, LinkButton, Notice, PageHead, Progress, Shell, Tag, Trouble, Waiting, route, to, type Failure } from "../ui";
import { api, type Drive, type Drives, type Job } from "./api";
import { ChoosePage } from "./ChoosePage";
import { CreatePage } from "./CreatePage";
import { DrivePage } from "./DrivePage";
import { FilesPage } from "./FilesPage";
import { KeyPage } from "./KeyPage";
import { Steady } from "./Steady";
import { failure, p, size } from "./text";
import { TurnOnPage } from "./TurnOnPage";

export function App(props: { readonly open: boolean }): JSX.Element {
  const [open, setOpen] = useState(props.open);
  // Every text is said anew in another language.
  void language.value;
  const leave = (
    <Button kind="quiet" icon="out" onClick={() => void api.leave().finally(() => setOpen(false))}>
      {p("leave")}
    </Button>
  );
  const parts = route.value;
  return (
    <Shell home={to()} page={parts.join("/")} title={p("title")} aside={open ? leave : undefined}>
      {open ? <Page parts={parts} /> : <Closed />}
    </Shell>
  );
}

function Closed(): JSX.Element {
  return (
    <>
      <PageHead title={p("closed.title")} />
      <Notice>{p("closed.text")}</Notice>
    </>
  );
}

function Page({ parts }: { readonly parts: readonly string[] }): JSX.Element {
  const [what = "", id = "", more = ""] = parts;
  switch (what) {
    case "drive":
      return more === "files" ? (
        <FilesPage key={id} id={id} path={parts.slice(3).join("/")} />
      ) : more === "turn-on" ? (
        <TurnOnPage key={id} id={id} />
      ) : (
        <DrivePage key={id} id={id} />
      );
    case "key":
      return <KeyPage key={id} id={id} />;
    case "choose":
      return <ChoosePage />;
    case "create":
      return <CreatePage />;
    default:
      return <DrivesPage />;
  }
}

/** Asks again and again while the page is there. */
export function usePolled<T>(ask: () => Promise<T>, everyMs: number): [T | undefined, Failure | undefined, () => void] {
  const [value, setValue] = useState<T>();
  const [trouble, setTrouble] = useState<Failure>();
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let gone = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const next = (): void => {
      ask()
        .then(
          (got) => {
            if (gone) return;
            setValue(got);
            setTrouble(undefined);
          },
          (error: unknown) => {
            if (!gone) setTrouble(failure(error));
          },
        )
        .finally(() => {
          if (!gone) timer = setTimeout(next, everyMs);
        });
    };
    next();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [turn]);
  return [value, trouble, () => setTurn((now) => now + 1)];
}

/** The name that a person knows a drive by. */
export function driveName(drive: Drive): string {
  return drive.label ?? drive.name.split(/[/\\]/).at(-1) ?? drive.name;
}

export function StateTag({ drive }: { readonly drive: Drive }): JSX.Element {
  const kind = { encrypted: "good", damaged: "bad", missing: "bad", suspended: "warn", encrypting: "warn", decrypting: "warn" } as const;
  const of = drive.state as keyof typeof kind;
  return <Tag kind={kind[of] ?? "plain"}>{p(`state.${drive.state}`)}</Tag>;
}

export function JobBox({ job, again, onDone }: { readonly job: Job; readonly again: () => void; readonly onDone?: () => void }): JSX.Element {
  const [trouble, setTrouble] = useState<Failure>();
  const act = (done: Promise<unknown>): void => {
    setTrouble(undefined);
    done.then(again, (error: unknown) => setTrouble(failure(error)));
  };
  const percent = job.total_bytes === 0 ? 0 : Math.floor((job.done_bytes * 100) / job.total_bytes);
  const words = job.state === "running" ? `${percent} %` : p(`job.${job.state}`);
  return (
    <div class="card">
      <Steady>
      <Progress label={p(`job.${job.kind}`)} done={job.done_bytes} of={Math.max(job.total_bytes, 1)} words={words} />
      <p class="soft small">{p(job.state === "running" || job.state === "stopping" ? "job.closing" : `job.${job.state}.text`)}</p>
      {job.problem !== null && (
        <Trouble failure={{ code: job.problem.code, title: job.problem.title, cause: job.problem.detail ?? undefined, next: job.problem.next ?? "" }} />
      )}
      {trouble !== undefined && <Trouble failure={trouble} />}
      <div class="row">
        {job.can_pause && job.state === "running" && <Button onClick={() => act(api.pause(job.id))}>{p("job.pause")}</Button>}
        {job.state === "done" && onDone !== undefined && (
          <Button kind="main" onClick={onDone}>
            {p("job.show")}
          </Button>
        )}
        {(job.state === "paused" || (job.state === "failed" && job.kind !== "create")) && (
          <Button kind="main" onClick={() => act(api.resume(job.id))}>
            {p("go_on")}
          </Button>
        )}
      </div>
      </Steady>
    </div>
  );
}

function DrivesPage(): JSX.Element {
  const [list, trouble, again] = usePolled(api.drives, 4000);
  const [jobs] = usePolled(api.jobs, 1000);
  // One that ended while it was looked at stays: what stands below must not jump.
  const looked = useRef(new Set<string>());
  const creating = jobs?.jobs.filter((job) => job.kind === "create" && (job.state !== "done" || looked.current.has(job.id))) ?? [];
  for (const job of creating) looked.current.add(job.id);
  return (
    <>
      <PageHead title={p("title")} lead={p("lead")} />
      <div class="stack">
      <div class="buttons">
        <LinkButton icon="folder" href={to("choose")}>
          {p("drives.choose")}
        </LinkButton>
        <LinkButton icon="plus" href={to("create")}>
          {p("drives.create")}
        </LinkButton>
      </div>
      {trouble !== undefined && <Trouble failure={trouble} onRetry={again} />}
      {creating.map((job) => (
        <JobBox key={job.id} job={job} again={again} />
      ))}
      {list === undefined ? trouble === undefined && <Waiting /> : <List list={list} />}
      </div>
    </>
  );
}

function List({ list }: { readonly list: Drives }): JSX.Element {
  const hidden = list.not_opened.filter((device) => device.no_rights).map((device) => device.name);
  return (
    <div class="stack">
      {hidden.length > 0 && <Notice>{p("drives.no_rights", { names: hidden.join(", ") })}</Notice>}
      {list.trouble !== null && <Notice kind="warn">{list.trouble}</Notice>}
      {list.drives.length === 0 && <Empty icon="drive" title={p("drives.empty")}><p>{p("drives.empty.text")}</p></Empty>}
      {list.drives.map((drive) => (
        <section class="card stack" key={drive.id}>
          <div class="row spread">
            <h2>
              <a href={to("drive", drive.id)}>{driveName(drive)}</a>
            </h2>
            <StateTag drive={drive} />
          </div>
          <p class="soft small">
            {[drive.model, drive.name, size(drive.bytes), drive.file_system].filter(Boolean).join(" · ")}
          </p>
          {drive.unlocked && <Tag icon="lock">{p("unlocked")}</Tag>}
        </section>
      ))}
    </div>
  );
}
