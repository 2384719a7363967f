import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { t } from "../i18n";
import { Button } from "./Button";
import { say } from "./focus";

/** Copies a text. `text` is a function, so that a secret is made into text only when it is asked for. */
export function CopyButton(props: { readonly text: () => string; readonly label?: string; readonly wide?: boolean }): JSX.Element {
  const [state, setState] = useState<"idle" | "done" | "failed">("idle");
  useEffect(() => {
    if (state === "idle") return;
    const timer = setTimeout(() => setState("idle"), 4000);
    return () => clearTimeout(timer);
  }, [state]);
  const label = props.label ?? t("ui.copy");
  return (
    <Button
      icon={state === "done" ? "check" : "copy"}
      wide={props.wide ?? false}
      onClick={() => {
        navigator.clipboard.writeText(props.text()).then(
          () => {
            setState("done");
            say(t("ui.copied"));
          },
          () => {
            setState("failed");
            say(t("ui.copy.failed"));
          },
        );
      }}
    >
      {state === "done" ? t("ui.copied") : state === "failed" ? t("ui.copy.failed") : label}
    </Button>
  );
}
