// The control panel: the drives of this computer.

import { render } from "preact";
import { h } from "preact";

import { go, to } from "../ui";
import { api, enter, isIn } from "./api";
import { App } from "./App";

import "../ui/styles/index.css";

async function start(root: Element): Promise<void> {
  // The token is taken out of the address before anything else: it stays in no history.
  const token = /^#enter\/([\w-]+)$/.exec(location.hash)?.[1];
  if (token !== undefined) {
    history.replaceState(null, "", location.pathname);
    go(to(), true);
    try {
      await enter(token);
    } catch {
      // The page says that it is closed.
    }
  }
  const open = isIn() && (await api.jobs().then(() => true, () => false));
  render(h(App, { open }), root);
}

const root = document.getElementById("page");
if (root === null) throw new Error("the page has no place for its contents");
void start(root);
