// My keys: by computer and drive, found by the eight characters of the locked screen.

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";

import { byName, t } from "../../i18n";
import { Button, Empty, Field, Icon, LinkButton, More, Notice, PageHead, Tag, to, Trouble, Waiting, When } from "../../ui";
import { keys, useRead, waits } from "../state";
import type { SavedKey } from "../vault";
import { FirstTimeHere } from "./SignIn";
import { Waits } from "./Waits";

export const STARTUP_KEY = "bitlocker-external-key";
export const RECOVERY_KEY = "bitlocker-recovery-password";

/** What a person calls the drive. */
export function driveName(key: SavedKey): string {
  const { meta } = key;
  if (meta === undefined) return t("keys.unreadable");
  if (meta.label !== "" && meta.mount !== "" && meta.label !== meta.mount) return `${meta.label} (${meta.mount})`;
  if (meta.label !== "" || meta.mount !== "") return meta.label || meta.mount;
  return t(
    meta.volumeType === "os" ? "keys.drive.os" : meta.volumeType === "removable" ? "keys.drive.removable" : "keys.drive.other",
  );
}

/** The first eight characters, which a locked screen shows, set off from the rest. */
export function KeyId(props: { readonly id: string; readonly short?: boolean }): JSX.Element {
  const { id, short = false } = props;
  return (
    <span class="key-id">
      <b>{id.slice(0, 8)}</b>
      {!short && id.slice(8)}
    </span>
  );
}

/** The letters and digits of a typed identifier. */
function idOf(typed: string): string | null {
  const bare = typed.replace(/[\s{}-]/g, "").toUpperCase();
  return /^[0-9A-F]+$/.test(bare) ? bare : null;
}

function fits(key: SavedKey, typed: string): boolean {
  const { meta } = key;
  if (meta === undefined) return false;
  const id = idOf(typed);
  if (id !== null && meta.keyId.replaceAll("-", "").toUpperCase().startsWith(id)) return true;
  const words = typed.toLocaleLowerCase();
  return [meta.computer, meta.label, meta.mount].some((name) => name.toLocaleLowerCase().includes(words));
}

/** Live and verified first, then the newest. */
function better(a: SavedKey, b: SavedKey): number {
  const rank = (key: SavedKey): number => (key.state === "live" ? 0 : 2) + (key.verified ? 0 : 1);
  return rank(a) - rank(b) || b.receivedAt - a.receivedAt;
}

export function isPast(key: SavedKey): boolean {
  return key.state !== "live" || key.finding?.found === "retired";
}

interface Drive {
  readonly name: string;
  readonly now: readonly SavedKey[];
  readonly past: readonly SavedKey[];
}

interface Computer {
  readonly name: string;
  readonly drives: readonly Drive[];
}

function group(all: readonly SavedKey[]): Computer[] {
  const computers = new Map<string, Map<string, SavedKey[]>>();
  for (const key of all) {
    const computer = key.meta?.computer ?? "";
    const drives = computers.get(computer) ?? new Map<string, SavedKey[]>();
    computers.set(computer, drives);
    const drive = driveName(key);
    drives.set(drive, [...(drives.get(drive) ?? []), key]);
  }
  const sorted = [...computers].map(([name, drives]) => ({
    name,
    drives: [...drives]
      .map(([drive, its]) => {
        const best = [...its].sort(better);
        return { name: drive, now: best.filter((key) => !isPast(key)), past: best.filter(isPast) };
      })
      .sort((a, b) => byName(a.name, b.name)),
  }));
  // Keys that name no computer come last.
  return sorted.sort((a, b) => Number(a.name === "") - Number(b.name === "") || byName(a.name, b.name));
}

export function Keys(): JSX.Element {
  const read = useRead(keys);
  const running = useRead(waits);
  const [typed, setTyped] = useState("");
  // Delays stand above the list: it comes when they are known, so that nothing moves.
  const all = running.value === null && running.failure === null ? null : read.value;
  const wanted = typed.trim();
  const found = useMemo(
    () => (all === null ? [] : wanted === "" ? all.filter((key) => !key.former) : all.filter((key) => fits(key, wanted))),
    [all, wanted],
  );
  const match = useMemo(() => (wanted === "" ? null : theMatch(found, wanted)), [found, wanted]);
  const former = useMemo(() => (all ?? []).filter((key) => key.former && key.state === "live"), [all]);
  // Nothing but the one key: the card says all of it.
  const listed = (match !== null && found.length === 1 ? [] : found).filter((key) => !key.former);
  const unverified = listed.filter((key) => !key.verified);
  const groups = useMemo(() => group(listed.filter((key) => key.verified)), [listed]);
  return (
    <>
      <PageHead title={t("keys.title")} />
      <div class="stack">
        <FirstTimeHere />
        <Waits />
        {read.failure !== null && <Trouble failure={read.failure} onRetry={read.again} />}
        {all === null && read.failure === null && <Waiting what={t("keys.reading")} />}
        {all?.length === 0 && (
          <Empty icon="key" title={t("keys.none")}>
            <p>{t("keys.none.lead")}</p>
            <div class="buttons">
              <LinkButton kind="main" icon="save" href={to("save")}>
                {t("keys.none.save")}
              </LinkButton>
              <LinkButton icon="device" href={to("devices", "add")}>
                {t("keys.none.device")}
              </LinkButton>
            </div>
          </Empty>
        )}
        {all !== null && all.length > 0 && (
          <>
            <Field
              label={t("keys.search")}
              hint={t("keys.search.hint")}
              type="search"
              value={typed}
              onInput={setTyped}
              class="code letters"
              exact
              autofocus
              maxLength={64}
            />
            <p class="unseen" role="status">
              {wanted === "" ? "" : t("keys.found", { count: found.length })}
            </p>
            {match !== null && <Match best={match} />}
            {found.length === 0 && wanted !== "" && (
              <Empty icon="search" title={t("keys.not_found", { typed: wanted })}>
                <p>{t("keys.not_found.lead")}</p>
                <div class="buttons">
                  <Button onClick={() => setTyped("")}>{t("keys.show_all")}</Button>
                </div>
              </Empty>
            )}
            {groups.map((computer) => (
              <section class="section" key={computer.name}>
                <h2 class="row">
                  <Icon name="device" />
                  <span class="name grow">{computer.name === "" ? t("keys.no_computer") : computer.name}</span>
                </h2>
                <ul class="rows">
                  {computer.drives.flatMap((drive) => drive.now.map((key) => <Row key={key.recordId} saved={key} />))}
                </ul>
                <Past drives={computer.drives} open={wanted !== ""} />
              </section>
            ))}
            {former.length > 0 && (
              <section class="section">
                <h2>{t("keys.former")}</h2>
                <div class="stack">
                  <Notice>{t("keys.former.lead", { count: former.length })}</Notice>
                  <div class="buttons">
                    <LinkButton href={to("bring-over")}>{t("keys.former.action")}</LinkButton>
                  </div>
                </div>
              </section>
            )}
            {unverified.length > 0 && (
              <section class="section">
                <h2>{t("keys.unverified")}</h2>
                <div class="stack">
                  <Notice kind="warn">{t("keys.unverified.lead")}</Notice>
                  <ul class="rows">
                    {unverified.map((key) => (
                      <Row key={key.recordId} saved={key} />
                    ))}
                  </ul>
                </div>
              </section>
            )}
          </>
        )}
      </div>
    </>
  );
}

/** The one key that fits what a locked screen shows. */
function theMatch(found: readonly SavedKey[], typed: string): SavedKey | null {
  const id = idOf(typed);
  const usable = found.filter((key) => key.verified && key.meta !== undefined);
  const ids = new Set(usable.map((key) => key.meta?.keyId));
  if (id === null || id.length < 4 || ids.size !== 1) return null;
  return [...usable].sort(better)[0] ?? null;
}

/** The way to it is one tap. */
function Match(props: { readonly best: SavedKey }): JSX.Element {
  const { best } = props;
  return (
    <div class="card found">
      <div>
        <h2>{driveName(best)}</h2>
        <p class="soft name">{best.meta?.computer}</p>
      </div>
      <p class="row">
        {best.meta !== undefined && <KeyId id={best.meta.keyId} />}
        <Standing saved={best} />
      </p>
      <LinkButton kind="main" wide icon="key" href={to("keys", best.recordId)}>
        {t("keys.show")}
      </LinkButton>
    </div>
  );
}

function Past(props: { readonly drives: readonly Drive[]; readonly open: boolean }): JSX.Element | null {
  const past = props.drives.flatMap((drive) => drive.past);
  if (past.length === 0) return null;
  return (
    <More title={t("keys.past", { count: past.length })} open={props.open}>
      <ul class="rows">
        {past.map((key) => (
          <Row key={key.recordId} saved={key} />
        ))}
      </ul>
    </More>
  );
}

function Row(props: { readonly saved: SavedKey }): JSX.Element {
  const { saved } = props;
  return (
    <li>
      <a class="line" href={to("keys", saved.recordId)}>
        <span class="grow">
          <span class="main-text">{driveName(saved)}</span>
          <span class="sub-text row">
            {saved.meta !== undefined && <KeyId id={saved.meta.keyId} short />}
            <span>
              {t("keys.saved")} <When at={saved.receivedAt} form="date" />
            </span>
            <Standing saved={saved} />
          </span>
        </span>
        <Icon name="next" />
      </a>
    </li>
  );
}

/** What is known of a key, as tags. A live key that its device saw on the drive is `verified`. */
export function Standing(props: { readonly saved: SavedKey }): JSX.Element {
  const { saved } = props;
  const found = saved.finding?.found;
  return (
    <>
      {!saved.verified && (
        <Tag kind="bad" icon="warn">
          {t("keys.tag.unverified")}
        </Tag>
      )}
      {saved.kind === STARTUP_KEY && <Tag>{t("keys.tag.startup")}</Tag>}
      {saved.kind !== STARTUP_KEY && saved.kind !== RECOVERY_KEY && <Tag>{t("keys.tag.unknown")}</Tag>}
      {isPast(saved) && <Tag>{t("keys.tag.replaced")}</Tag>}
      {!isPast(saved) && found === "verified" && (
        <Tag kind="good" icon="check">
          {t("keys.tag.verified")}
        </Tag>
      )}
      {!isPast(saved) && found === "missing" && (
        <Tag kind="warn" icon="warn">
          {t("keys.tag.missing")}
        </Tag>
      )}
      {found === "resent" && <Tag kind="warn">{t("keys.tag.resent")}</Tag>}
    </>
  );
}

/** "Startup key of C:, Windows" for titles. */
export function kindName(saved: SavedKey): string {
  return saved.kind === STARTUP_KEY ? t("keys.kind.startup") : t("keys.kind.recovery");
}

export function namesOf(saved: SavedKey): string {
  return [driveName(saved), saved.meta?.computer ?? ""].filter((name) => name !== "").join(" · ");
}
