// Puts the account's pages on the page, over a vault.

import { render } from "preact";

import { go, to } from "../ui";
import { App } from "./App";
import { openedLink } from "./pages/AddDevice";
import { useVault } from "./state";
import type { Vault } from "./vault";

import "../ui/styles/index.css";
import "./portal.css";

/** `/device`, the address that a waiting computer shows beside its codes: the page where they are typed. */
function takeAddress(): void {
  if (/\/device\/?$/.test(location.pathname) && location.hash.length < 2) go(to("devices", "add"), true);
}

/** A link of a computer that waits, `/enrol#CODE.SECRET`: kept in memory, and taken out of the address at once. */
function takeLink(): void {
  if (!/\/enrol\/?$/.test(location.pathname) || location.hash.length < 2 || location.hash.startsWith("#/")) return;
  openedLink.value = location.href;
  history.replaceState(null, "", location.pathname + to("devices", "add"));
  go(to("devices", "add"), true);
}

export function start(vault: Vault, root: Element): void {
  takeAddress();
  takeLink();
  useVault(vault);
  render(<App />, root);
}
