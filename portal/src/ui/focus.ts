// Where the keyboard is, and what is said to those who hear the page.

import { signal } from "@preact/signals";

/** Puts the focus on what asks for it (`data-autofocus`), else on the heading. */
export function focusFirst(within: ParentNode): void {
  const wanted =
    within.querySelector<HTMLElement>("[data-autofocus]") ?? within.querySelector<HTMLElement>("h1, h2[tabindex]");
  wanted?.focus({ preventScroll: within === document || wanted.tagName === "H1" });
}

/** What the live region says; see `Shell`. */
export const said = signal("");

/** Says a short sentence to those who hear the page; repeats it when it is the same again. */
export function say(words: string): void {
  said.value = "";
  setTimeout(() => {
    said.value = words;
  }, 50);
}

/** Puts the focus on the first field that is wrong. Call after the errors are rendered. */
export function focusWrong(form: HTMLElement | null): void {
  requestAnimationFrame(() => {
    form?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
  });
}
