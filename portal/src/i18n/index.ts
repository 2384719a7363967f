// Texts by key, in the language of the person. `en.ts` is the source of the keys; every other language has all of them.

import { computed, signal } from "@preact/signals";
import type { ComponentChildren } from "preact";

import { de } from "./de";
import { en } from "./en";

/** A text that depends on a number: at least `other`, by the plural rules of the language. */
export interface Plural {
  readonly zero?: string;
  readonly one?: string;
  readonly other: string;
}

type Source = typeof en;
export type Key = keyof Source;

/** What a language file holds: the same keys, the same kind of text under each. */
export type Messages = { readonly [K in Key]: Source[K] extends string ? string : Plural };

type Placeholder<S> = S extends `${string}{${infer Name}}${infer Rest}` ? Name | Placeholder<Rest> : never;
type Texts<K extends Key> = Source[K] extends string ? Source[K] : Source[K] extends { other: infer O } ? O : never;
type Names<K extends Key> = Placeholder<Texts<K>> | (Source[K] extends string ? never : "count");
type Values<K extends Key> = { readonly [N in Names<K>]: string | number };
/** The values that a text needs; none for a text without placeholders. */
export type Arguments<K extends Key> = [Names<K>] extends [never] ? [] : [values: Values<K>];

const LANGUAGES = { en, de } satisfies Record<string, Messages>;
export type Language = keyof typeof LANGUAGES;

type Said<M> = M extends string ? M : M extends Plural ? M["other"] : never;
/** Keys under which a language says fewer or other values than English does. There are none. */
type Unlike<L> = { [K in Key & keyof L]: [Placeholder<Said<Source[K]>>] extends [Placeholder<Said<L[K]>>] ? ([Placeholder<Said<L[K]>>] extends [Placeholder<Said<Source[K]>>] ? never : K) : K }[Key & keyof L];
type Same<L> = [Unlike<L>] extends [never] ? L : Unlike<L>;
de satisfies Same<typeof de>;

/** What its speakers call a language. */
export const LANGUAGE_NAMES: Readonly<Record<Language, string>> = { en: "English", de: "Deutsch" };

const KEPT = "keyhaven.language";

function isLanguage(word: string | null | undefined): word is Language {
  return word !== null && word !== undefined && Object.hasOwn(LANGUAGES, word);
}

function preferred(): Language {
  let kept: string | null = null;
  try {
    kept = localStorage.getItem(KEPT);
  } catch {
    // Storage may be closed to pages; then the browser's own preference counts.
  }
  if (isLanguage(kept)) return kept;
  for (const wanted of navigator.languages) {
    const main = wanted.split("-")[0];
    if (isLanguage(main)) return main;
  }
  return "en";
}

/** The language of the page. */
export const language = signal<Language>(preferred());

/** The locale for dates and numbers: the browser's variant of the chosen language (de-AT, en-GB) where it has one. */
export const locale = computed(() => {
  const chosen = language.value;
  return navigator.languages.find((word) => word.split("-")[0] === chosen) ?? chosen;
});

const plurals = computed(() => new Intl.PluralRules(locale.value));

language.subscribe((chosen) => {
  document.documentElement.lang = chosen;
});

export function setLanguage(chosen: Language): void {
  language.value = chosen;
  try {
    localStorage.setItem(KEPT, chosen);
  } catch {
    // The choice then lasts as long as the page.
  }
}

function text(key: Key, values: Readonly<Record<string, string | number>>): string {
  const message: string | Plural = (LANGUAGES[language.value] as Messages)[key];
  let chosen: string;
  if (typeof message === "string") {
    chosen = message;
  } else {
    const count = Number(values["count"]);
    const rule = plurals.value.select(count);
    chosen =
      count === 0 && message.zero !== undefined ? message.zero : rule === "one" ? (message.one ?? message.other) : message.other;
  }
  return chosen.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? number(value) : value;
  });
}

/** The text under a key. */
export function t<K extends Key>(key: K, ...[values]: Arguments<K>): string {
  return text(key, values ?? {});
}

type Marks = Readonly<Record<string, (inner: string) => ComponentChildren>>;

/** A text with marked parts, `<link>such as this</link>`, each made into an element by the function of its name. */
export function rich<K extends Key>(key: K, marks: Marks, ...[values]: Arguments<K>): ComponentChildren[] {
  const parts: ComponentChildren[] = [];
  const whole = text(key, values ?? {});
  const mark = /<(\w+)>(.*?)<\/\1>/g;
  let end = 0;
  for (let found = mark.exec(whole); found !== null; found = mark.exec(whole)) {
    parts.push(whole.slice(end, found.index));
    const make = marks[found[1] ?? ""];
    const inner = found[2] ?? "";
    parts.push(make === undefined ? inner : make(inner));
    end = found.index + found[0].length;
  }
  parts.push(whole.slice(end));
  return parts;
}

/** Whether there is a text under this key; for keys made from what the service says. */
export function isKey(key: string): key is Key {
  return Object.hasOwn(en, key);
}

/** A text without placeholders under a key made from what the service says, or the fallback. */
export function textOr(key: string, fallback: string): string {
  return isKey(key) ? text(key, {}) : fallback;
}

export function number(value: number): string {
  return new Intl.NumberFormat(locale.value).format(value);
}

/** "24 Nov 2026, 18:05" */
export function dateTime(at: number): string {
  return new Intl.DateTimeFormat(locale.value, { dateStyle: "medium", timeStyle: "short" }).format(at);
}

/** "24 Nov 2026" */
export function date(at: number): string {
  return new Intl.DateTimeFormat(locale.value, { dateStyle: "medium" }).format(at);
}

const UNITS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_557_600_000],
  ["month", 2_629_800_000],
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
];

/** "3 days ago", "in 2 hours", "now". */
export function relative(at: number, now: number = Date.now()): string {
  const distance = at - now;
  const format = new Intl.RelativeTimeFormat(locale.value, { numeric: "auto" });
  for (const [unit, length] of UNITS) {
    if (Math.abs(distance) >= length) return format.format(Math.round(distance / length), unit);
  }
  return format.format(0, "second");
}

/** "a, b and c" */
export function list(items: readonly string[]): string {
  return new Intl.ListFormat(locale.value).format(items);
}

/** Sorts names as people of this language do, numbers in them by value. */
export function byName(a: string, b: string): number {
  return new Intl.Collator(locale.value, { numeric: true, sensitivity: "base" }).compare(a, b);
}
