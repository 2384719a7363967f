// The panel's own texts, in the language of the page.

import { language, number } from "../i18n";
import type { Failure } from "../ui";
import { Refusal } from "./api";
import { de } from "./panel.de";
import { en, type PanelKey } from "./panel.en";

const LANGUAGES: Readonly<Record<"en" | "de", Readonly<Record<PanelKey, string>>>> = { en, de };

/** The text under a key. */
export function p(key: PanelKey, values: Readonly<Record<string, string | number>> = {}): string {
  return LANGUAGES[language.value][key].replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? number(value) : value;
  });
}

function isKey(key: string): key is PanelKey {
  return Object.hasOwn(en, key);
}

/** A failure in words; what has none of its own is said as the program says it. */
export function failure(error: unknown): Failure {
  if (!(error instanceof Refusal)) throw error;
  const { problem } = error;
  const key = `error.${problem.code}`;
  const next = `next.${problem.code}`;
  // What its own words say whole needs no cause in those of the machine.
  if (isKey(key) && isKey(next)) return { code: problem.code, title: p(key), next: p(next) };
  if (isKey(key)) return { code: problem.code, title: p(key), cause: problem.detail ?? undefined, next: problem.next ?? "" };
  return {
    code: problem.code,
    title: problem.title,
    cause: problem.detail ?? undefined,
    next: problem.next ?? "",
    helpUrl: problem.help ?? undefined,
  };
}

/** "4.0 GiB" */
export function size(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"] as const;
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${number(unit === 0 ? value : Math.round(value * 10) / 10)} ${units[unit] ?? ""}`;
}
