// A recovery key as a person copies it from one screen to another: eight groups of six digits, each of which can be ticked off.

import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";

import { language, list, t } from "../i18n";
import { Button } from "./Button";
import { CopyButton } from "./CopyButton";
import { useNow } from "./blocks";
import { say } from "./focus";
import { Icon } from "./Icon";
import { Tabs } from "./Tabs";

type View = "groups" | "large" | "aloud";

export interface KeyViewProps {
  /** 48 digits in eight groups, joined by dashes. */
  readonly digits: string;
  /** When it is hidden; milliseconds since 1970. Without it, it stays. */
  readonly until?: number | undefined;
  readonly onHide: () => void;
  /** Shows it for longer. */
  readonly onLonger: () => void;
  /** Groups whose check digit is wrong, from 0. */
  readonly wrong?: readonly number[];
}

export function KeyView(props: KeyViewProps): JSX.Element {
  const groups = useMemo(() => props.digits.split("-"), [props.digits]);
  const [view, setView] = useState<View>("groups");
  const [ticked, setTicked] = useState<ReadonlySet<number>>(new Set());
  const [at, setAt] = useState(0);
  const tick = (index: number): void => {
    const next = new Set(ticked);
    if (!next.delete(index)) next.add(index);
    setTicked(next);
  };
  return (
    <div class="stack">
      <Tabs
        label={t("key.view")}
        value={view}
        onChange={setView}
        options={[
          { value: "groups", label: t("key.view.groups") },
          { value: "large", label: t("key.view.large") },
          { value: "aloud", label: t("key.view.aloud") },
        ]}
      >
        {view === "aloud" ? (
          <Aloud groups={groups} at={at} onMove={setAt} />
        ) : (
          <>
            <ol class={`key ${view}`} aria-label={t("key.groups.label")}>
              {groups.map((group, index) => (
                <li key={String(index)}>
                  <Group
                    digits={group}
                    index={index}
                    ticked={ticked.has(index)}
                    wrong={props.wrong?.includes(index) ?? false}
                    onTick={() => tick(index)}
                  />
                </li>
              ))}
            </ol>
            <p class="soft small no-print">{t("key.tick.hint")}</p>
          </>
        )}
      </Tabs>
      <div class="buttons">
        <CopyButton text={() => props.digits} label={t("key.copy")} />
        <Button icon="eyeOff" onClick={props.onHide}>
          {t("key.hide")}
        </Button>
      </div>
      {props.until !== undefined && <Countdown until={props.until} onHide={props.onHide} onLonger={props.onLonger} />}
    </div>
  );
}

function Group(props: {
  readonly digits: string;
  readonly index: number;
  readonly ticked: boolean;
  readonly wrong: boolean;
  readonly onTick: () => void;
}): JSX.Element {
  const { digits, ticked, wrong } = props;
  const place = t("key.group", { number: props.index + 1 });
  return (
    <button
      type="button"
      class={`key-group ${wrong ? "wrong" : ""}`}
      aria-pressed={ticked ? "true" : "false"}
      onClick={props.onTick}
    >
      <span class="place">
        {ticked && <Icon name="check" size={14} />}
        {wrong && <Icon name="bad" size={14} />}
        {place}
      </span>
      <span class="digits" aria-hidden="true">
        {digits}
      </span>
      {/* Read digit by digit, not as a number of six figures. */}
      <span class="unseen">
        {[...digits].join(" ")}
        {wrong && `. ${t("key.group.wrong")}`}
      </span>
    </button>
  );
}

function words(group: string): string {
  const names = t("key.digit.names").split(" ");
  return [...group].map((digit) => names[Number(digit)] ?? digit).join(" ");
}

/** One group at a time, in words, to be read to somebody at the other screen. */
function Aloud(props: { readonly groups: readonly string[]; readonly at: number; readonly onMove: (at: number) => void }): JSX.Element {
  const { groups, at } = props;
  const group = groups[at] ?? "";
  const voice = useLocalVoice();
  const half = (part: string): string => words(part);
  return (
    <div class="aloud">
      <p class="soft" role="status">
        {t("key.aloud.at", { number: at + 1, of: groups.length })}
      </p>
      <p class="digits" aria-hidden="true">
        <span>{group.slice(0, 3)}</span>
        <span>{group.slice(3)}</span>
      </p>
      <p class="words">{list([half(group.slice(0, 3)), half(group.slice(3))]).replace(/ (and|und) /, ", ")}</p>
      <div class="row">
        <Button icon="back" off={at === 0} onClick={() => props.onMove(at - 1)}>
          {t("key.aloud.before")}
        </Button>
        <Button kind="main" off={at === groups.length - 1} onClick={() => props.onMove(at + 1)}>
          {t("key.aloud.next")}
        </Button>
      </div>
      {voice !== null && (
        <Button kind="quiet" icon="speak" onClick={() => speak(words(group), voice)}>
          {t("key.aloud.speak")}
        </Button>
      )}
    </div>
  );
}

/** A voice of this device for the page's language. Others would send the key to somebody's computer. */
function useLocalVoice(): SpeechSynthesisVoice | null {
  const [voices, setVoices] = useState<readonly SpeechSynthesisVoice[]>([]);
  useEffect(() => {
    if (!("speechSynthesis" in globalThis)) return;
    const read = (): void => setVoices(speechSynthesis.getVoices());
    read();
    speechSynthesis.addEventListener("voiceschanged", read);
    return () => {
      speechSynthesis.removeEventListener("voiceschanged", read);
      speechSynthesis.cancel();
    };
  }, []);
  return voices.find((voice) => voice.localService && voice.lang.startsWith(language.value)) ?? null;
}

function speak(text: string, voice: SpeechSynthesisVoice): void {
  speechSynthesis.cancel();
  const utterance = new SpeechSynthesisUtterance(text.replaceAll(" ", ", "));
  utterance.voice = voice;
  utterance.lang = voice.lang;
  utterance.rate = 0.8;
  speechSynthesis.speak(utterance);
}

function Countdown(props: { readonly until: number; readonly onHide: () => void; readonly onLonger: () => void }): JSX.Element {
  const left = Math.max(0, Math.ceil((props.until - useNow(500)) / 1000));
  const soon = left <= 30;
  useEffect(() => {
    if (left === 0) props.onHide();
  }, [left]);
  useEffect(() => {
    if (soon && left > 0) say(t("key.soon"));
  }, [soon]);
  const minutes = Math.floor(left / 60);
  const seconds = String(left % 60).padStart(2, "0");
  return (
    <div class="key-time">
      <span class="row">
        <Icon name="clock" size={18} />
        {t("key.until", { time: `${String(minutes)}:${seconds}` })}
      </span>
      <button type="button" class="text-button" onClick={props.onLonger}>
        {t("key.longer")}
      </button>
    </div>
  );
}
