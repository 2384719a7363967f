// What went wrong: what failed, why, what to do next, and where more is said.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

import { t, textOr } from "../i18n";
import { Button } from "./Button";
import { Icon } from "./Icon";

/** What a failure tells. `next` and `cause` are texts of last resort: known codes have their own, in the person's language. */
export interface Failure {
  readonly code: string;
  readonly title?: string | undefined;
  readonly cause?: string | undefined;
  readonly next?: string | undefined;
  readonly helpUrl?: string | undefined;
  readonly requestId?: string | undefined;
  /** Milliseconds since 1970, where trying again makes sense from a certain time on. */
  readonly retryAt?: number | undefined;
}

/** Title of a failure in the person's language. */
export function failureTitle(failure: Failure): string {
  return textOr(`error.${failure.code}.title`, failure.title ?? t("ui.trouble.title"));
}

/** What to do next, in the person's language. */
export function failureNext(failure: Failure): string {
  return textOr(`error.${failure.code}.next`, failure.next ?? t("ui.trouble.next"));
}

export function Trouble(props: {
  readonly failure: Failure;
  /** What was not done: "The key was not saved". */
  readonly what?: string | undefined;
  readonly onRetry?: (() => void) | undefined;
  readonly children?: ComponentChildren;
  /** Takes the focus, so that nobody misses it. */
  readonly focused?: boolean;
}): JSX.Element {
  const { failure, what } = props;
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (props.focused) box.current?.focus();
    box.current?.scrollIntoView({ block: "nearest" });
  }, [failure]);
  const title = failureTitle(failure);
  const cause = textOr(`error.${failure.code}.cause`, failure.cause ?? "");
  return (
    <div class="notice bad" role="alert" tabIndex={-1} ref={box}>
      <Icon name="bad" />
      <div>
        <p class="strong">{what ?? title}</p>
        {what !== undefined && <p>{title}</p>}
        {cause !== "" && <p class="soft">{cause}</p>}
        <p>{failureNext(failure)}</p>
        {props.children}
        <div class="row">
          {props.onRetry !== undefined && <Button onClick={props.onRetry}>{t("ui.again")}</Button>}
          {failure.helpUrl !== undefined && (
            <a href={failure.helpUrl} target="_blank" rel="noopener">
              {t("ui.trouble.help")}
            </a>
          )}
        </div>
        <span class="ids">
          <code>{failure.code}</code>
          {failure.requestId !== undefined && (
            <>
              {" · "}
              {t("ui.trouble.request")} <code>{failure.requestId}</code>
            </>
          )}
        </span>
      </div>
    </div>
  );
}
