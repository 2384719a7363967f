// The account's pages over the true vault.

import { connect } from "../vault/client";
import { start } from "./start";

const root = document.getElementById("page");
if (root === null) throw new Error("the page has no place for its contents");
// The service is where the page came from, below whatever path that is.
const base = new URL(".", location.href);
start(connect(base.origin + base.pathname.replace(/\/$/, "")), root);
