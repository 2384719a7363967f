// One key: what is known of it, and showing it.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { t, textOr } from "../../i18n";
import {
  Button,
  Check,
  Empty,
  Facts,
  focusFirst,
  KeyView,
  LinkButton,
  More,
  Notice,
  PageHead,
  saveFile,
  say,
  Select,
  Tag,
  to,
  Trouble,
  Waiting,
  When,
} from "../../ui";
import { ConfirmForm } from "../Confirming";
import { keys, trail, useRead, vault } from "../state";
import type { Revealed, SavedKey } from "../vault";
import { DeleteKey } from "./Delete";
import { driveName, isPast, KeyId, kindName, RECOVERY_KEY, Standing, STARTUP_KEY } from "./Keys";

/** How long a key stays on the screen. */
const SHOWN_MS = 120_000;

const REASONS = [
  "drive_access",
  "pin_forgotten",
  "password_forgotten",
  "startup_key_lost",
  "boot_order_changed",
  "firmware_changed",
  "os_files_changed",
  "tpm_reset",
  "tpm_lockout",
  "hardware_moved",
  "drill",
  "other",
] as const;

type Reason = (typeof REASONS)[number];

export function OneKey(props: { readonly recordId: string }): JSX.Element {
  const read = useRead(keys);
  const back = { href: to("keys"), label: t("keys.title") };
  const saved = read.value?.find((key) => key.recordId === props.recordId);
  if (saved !== undefined) return <Known key={saved.recordId} saved={saved} />;
  return (
    <>
      <PageHead title={t("key.title")} back={back} />
      {read.failure !== null ? (
        <Trouble failure={read.failure} onRetry={read.again} />
      ) : read.value === null ? (
        <Waiting what={t("keys.reading")} />
      ) : (
        <Empty icon="search" title={t("key.gone")}>
          <p>{t("key.gone.lead")}</p>
          <LinkButton href={to("keys")}>{t("keys.title")}</LinkButton>
        </Empty>
      )}
    </>
  );
}

function Known(props: { readonly saved: SavedKey }): JSX.Element {
  const { saved } = props;
  const { meta } = saved;
  const [shown, setShown] = useState<Revealed | null>(null);
  const [hidden, setHidden] = useState(false);
  const [until, setUntil] = useState(0);
  const hide = (): void => {
    setShown(null);
    setHidden(true);
    say(t("key.hidden"));
    // What had the focus is gone.
    requestAnimationFrame(() => focusFirst(document));
  };
  // A startup key has no countdown to look at, and a page that is left may come back from the browser's memory: both end here.
  useEffect(() => {
    if (shown === null) return;
    const end = setTimeout(hide, Math.max(0, until - Date.now()));
    addEventListener("pagehide", hide);
    return () => {
      clearTimeout(end);
      removeEventListener("pagehide", hide);
    };
  }, [shown, until]);
  return (
    <>
      <PageHead
        title={driveName(saved)}
        lead={
          <span class="row">
            <span class="name">{meta?.computer}</span>
            <Standing saved={saved} />
          </span>
        }
        back={{ href: to("keys"), label: t("keys.title") }}
      />
      <div class="stack-l">
        {shown !== null ? (
          <Shown shown={shown} saved={saved} until={until} onHide={hide} onLonger={() => setUntil(Date.now() + SHOWN_MS)} />
        ) : (
          <Ask
            saved={saved}
            hidden={hidden}
            onShown={(revealed) => {
              setUntil(Date.now() + SHOWN_MS);
              setShown(revealed);
              void keys.load();
              trail.forget();
            }}
          />
        )}
        <section class="section">
          <h2>{t("key.about")}</h2>
          <div class="card">
            <Facts
              of={[
                [t("key.id"), meta !== undefined && <KeyId id={meta.keyId} />],
                [t("key.kind"), kindName(saved)],
                [t("key.drive"), driveName(saved)],
                [t("key.computer"), meta?.computer],
                [t("key.method"), meta?.method],
                [t("key.saved"), <When at={saved.receivedAt} />],
                [t("key.saved_by"), saved.author === "owner" ? t("key.saved_by.owner") : saved.author],
                [t("key.checked"), <Finding saved={saved} />],
                [t("key.shown"), saved.revealedAt === undefined ? t("key.shown.never") : <When at={saved.revealedAt} />],
              ]}
            />
          </div>
        </section>
        {shown === null && <DeleteKey recordId={saved.recordId} />}
      </div>
    </>
  );
}

function Finding(props: { readonly saved: SavedKey }): JSX.Element {
  const { finding } = props.saved;
  if (finding === undefined) return <>{t("key.finding.none")}</>;
  return (
    <>
      {textOr(`key.finding.${finding.found}`, finding.found)} (<When at={finding.at} form="date" />, {finding.by})
    </>
  );
}

/** Reason and confirmation. */
function Ask(props: {
  readonly saved: SavedKey;
  readonly hidden: boolean;
  readonly onShown: (revealed: Revealed) => void;
}): JSX.Element {
  const { saved } = props;
  const [reason, setReason] = useState<Reason>("drive_access");
  const [rotate, setRotate] = useState(true);
  if (saved.meta === undefined) return <Notice kind="warn">{t("key.unreadable")}</Notice>;
  if (!saved.verified) return <Notice kind="bad">{t("key.unverified")}</Notice>;
  if (saved.kind !== RECOVERY_KEY && saved.kind !== STARTUP_KEY)
    return <Notice kind="warn">{t("key.unknown_kind")}</Notice>;
  const isFile = saved.kind === STARTUP_KEY;
  const fromDevice = saved.author !== "owner" && !isFile;
  return (
    <div class="card">
      {props.hidden ? (
        <Notice live="status">{t("key.hidden.again")}</Notice>
      ) : (
        <p class="soft">{t(isFile ? "key.ask.file" : "key.ask")}</p>
      )}
      {isPast(saved) && <Notice kind="warn">{t("key.past")}</Notice>}
      <ConfirmForm
        action={t(isFile ? "key.get_file" : "keys.show")}
        failed={t("key.not_shown")}
        run={async (confirm, asks) => {
          props.onShown(await vault().reveal(saved.recordId, reason, confirm, rotate && fromDevice ? "rotate" : "leave", asks));
        }}
      >
        <Select
          label={t("key.reason")}
          value={reason}
          onChange={setReason}
          options={REASONS.map((value) => ({ value, label: t(`key.reason.${value}`) }))}
        />
        {fromDevice && !isPast(saved) && (
          <Check checked={rotate} onChange={setRotate}>
            {t("key.rotate")}
            <span class="soft small block">{t("key.rotate.hint")}</span>
          </Check>
        )}
      </ConfirmForm>
    </div>
  );
}

function Shown(props: {
  readonly shown: Revealed;
  readonly saved: SavedKey;
  readonly until: number;
  readonly onHide: () => void;
  readonly onLonger: () => void;
}): JSX.Element {
  const { shown } = props;
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    head.current?.focus();
    head.current?.scrollIntoView({ block: "start" });
  }, []);
  const { file, ordered } = shown;
  return (
    <section class="card" aria-labelledby="shown-key">
      <div class="row spread">
        <h2 id="shown-key" tabIndex={-1} ref={head}>
          {t(file === undefined ? "key.here" : "key.here.file")}
        </h2>
        {file === undefined && (
          <Tag kind="good" icon="check">
            {t("key.digits_checked")}
          </Tag>
        )}
      </div>
      <p>
        {t("key.compare")} <KeyId id={shown.meta.keyId} />
      </p>
      {shown.digits !== undefined && (
        <KeyView digits={shown.digits} until={props.until} onHide={props.onHide} onLonger={props.onLonger} />
      )}
      {file !== undefined && (
        <div class="stack">
          <p>{t("key.file.lead")}</p>
          <div class="buttons">
            <Button kind="main" icon="download" onClick={() => saveFile(file.name, file.bytes)}>
              {t("key.file.save")}
            </Button>
            <Button icon="eyeOff" onClick={props.onHide}>
              {t("key.hide")}
            </Button>
          </div>
          <p class="soft small name">{file.name}</p>
        </div>
      )}
      {ordered !== undefined && (
        <Notice kind={ordered.yes ? "info" : "warn"}>
          {ordered.yes ? t("key.ordered") : textOr(`key.ordered.${ordered.why ?? ""}`, t("key.ordered.failed"))}
        </Notice>
      )}
      {file === undefined && (
        <More title={t("key.how")}>
          <ol>
            <li>{t("key.how.1")}</li>
            <li>{t("key.how.2")}</li>
            <li>{t("key.how.3")}</li>
          </ol>
        </More>
      )}
      <p class="soft small">{t("key.logged")}</p>
    </section>
  );
}
