// Blocks that pages are put together from.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { date, dateTime, relative, t } from "../i18n";
import { Icon, type IconName } from "./Icon";

export function Card(props: { readonly children: ComponentChildren; readonly label?: string }): JSX.Element {
  return (
    <section class="card" aria-label={props.label}>
      {props.children}
    </section>
  );
}

/** Part of a page, under its own heading. */
export function Section(props: {
  readonly title: ComponentChildren;
  readonly children: ComponentChildren;
  readonly id?: string;
}): JSX.Element {
  return (
    <section class="section" id={props.id}>
      <h2>{props.title}</h2>
      {props.children}
    </section>
  );
}

const NOTICE_ICONS = { info: "info", good: "check", warn: "warn", bad: "bad" } as const;

export function Notice(props: {
  readonly kind?: "info" | "good" | "warn" | "bad";
  /** `alert`: said at once to those who hear the page; for what just happened, not for what always stands there. */
  readonly live?: "alert" | "status";
  readonly children: ComponentChildren;
}): JSX.Element {
  const { kind = "info" } = props;
  return (
    <div class={`notice ${kind}`} role={props.live}>
      <Icon name={NOTICE_ICONS[kind]} />
      <div>{props.children}</div>
    </div>
  );
}

export function Tag(props: {
  readonly kind?: "plain" | "good" | "warn" | "bad";
  readonly icon?: IconName;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <span class={`tag ${props.kind ?? "plain"}`}>
      {props.icon !== undefined && <Icon name={props.icon} size={14} />}
      {props.children}
    </span>
  );
}

/** Keeps the place of what comes; appears only when it takes a moment. */
export function Waiting(props: { readonly what?: string }): JSX.Element {
  return (
    <div class="waiting slow" role="status">
      <span class="spinner" aria-hidden="true" />
      <span>{props.what ?? t("ui.waiting")}</span>
    </div>
  );
}

export function Progress(props: { readonly label: string; readonly done: number; readonly of: number; readonly words?: string }): JSX.Element {
  return (
    <div class="progress">
      <span class="row spread">
        <span class="strong">{props.label}</span>
        {props.words !== undefined && <span class="soft numbers">{props.words}</span>}
      </span>
      <progress value={props.done} max={props.of} aria-label={props.label} />
    </div>
  );
}

export function Empty(props: {
  readonly icon: IconName;
  readonly title: string;
  readonly children?: ComponentChildren;
}): JSX.Element {
  return (
    <div class="card empty">
      <Icon name={props.icon} size={40} />
      <h2>{props.title}</h2>
      {props.children}
    </div>
  );
}

/** Names and values. Pairs without a value are left out. */
export function Facts(props: { readonly of: readonly (readonly [string, ComponentChildren])[] }): JSX.Element {
  return (
    <dl class="facts">
      {props.of
        .filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false)
        .map(([name, value]) => [<dt key={name}>{name}</dt>, <dd>{value}</dd>])}
    </dl>
  );
}

export function Steps(props: { readonly names: readonly string[]; readonly at: number; readonly label: string }): JSX.Element {
  return (
    <ol class="steps" aria-label={props.label}>
      {props.names.map((name, index) => (
        <li key={name} class={index < props.at ? "done" : ""} aria-current={index === props.at ? "step" : undefined}>
          <b aria-hidden="true">{index < props.at ? <Icon name="check" size={14} /> : index + 1}</b>
          <span>{name}</span>
        </li>
      ))}
    </ol>
  );
}

/** Something behind a line that opens it. */
export function More(props: { readonly title: string; readonly children: ComponentChildren; readonly open?: boolean }): JSX.Element {
  return (
    <details class="more" open={props.open}>
      <summary>
        <Icon name="next" size={18} />
        {props.title}
      </summary>
      <div>{props.children}</div>
    </details>
  );
}

/** A point in time: near ones as distance, the exact time as title. */
export function When(props: { readonly at: number; readonly form?: "relative" | "date" | "full" }): JSX.Element {
  const { at, form = "full" } = props;
  const words = form === "relative" ? relative(at) : form === "date" ? date(at) : dateTime(at);
  return (
    <time dateTime={new Date(at).toISOString()} title={dateTime(at)}>
      {words}
    </time>
  );
}

/** The time now, renewed while something counts on it. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

export function Back(props: { readonly href: string; readonly children: ComponentChildren }): JSX.Element {
  return (
    <a class="back" href={props.href}>
      <Icon name="back" size={18} />
      {props.children}
    </a>
  );
}

/** The heading of a page. It gets the focus when the page comes. */
export function PageHead(props: {
  readonly title: string;
  readonly lead?: ComponentChildren;
  readonly back?: { readonly href: string; readonly label: string };
  readonly aside?: ComponentChildren;
}): JSX.Element {
  return (
    <div class="page-head">
      {props.back !== undefined && <Back href={props.back.href}>{props.back.label}</Back>}
      <div class="row spread">
        <h1 tabIndex={-1}>{props.title}</h1>
        {props.aside}
      </div>
      {props.lead !== undefined && <p class="soft">{props.lead}</p>}
    </div>
  );
}
