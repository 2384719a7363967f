// Pages by the fragment of the address, `#/keys/0192...`: it stays in the browser, and a proxy path needs no rules.

import { computed, signal } from "@preact/signals";

function here(): string {
  const path = location.hash.replace(/^#\/?/, "");
  return path.replace(/\/+$/, "");
}

const path = signal(here());

addEventListener("hashchange", () => {
  path.value = here();
});

/** The parts of the present path; none on the first page. */
export const route = computed<readonly string[]>(() =>
  path.value === "" ? [] : path.value.split("/").map((part) => safeDecode(part)),
);

function safeDecode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a page. */
export function to(...parts: readonly string[]): string {
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}

/** Goes to a page. `replace`: the present one is not gone back to. */
export function go(address: string, replace = false): void {
  if (replace) {
    history.replaceState(null, "", address);
    path.value = here();
  } else {
    location.hash = address;
    // At once, not with the event: what follows this call already sees the new page.
    path.value = here();
  }
}
