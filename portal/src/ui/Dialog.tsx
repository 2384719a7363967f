import type { ComponentChildren, JSX } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";

import { t } from "../i18n";
import { IconButton } from "./Button";
import { focusFirst } from "./focus";

/** A modal dialog (the browser's own): the focus stays inside, Escape closes it, and goes back to where it was. */
export function Dialog(props: {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
  /** At work: it cannot be closed by Escape or the cross. */
  readonly busy?: boolean;
}): JSX.Element {
  const id = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const element = dialog.current;
    if (element === null) return;
    const before = document.activeElement;
    element.showModal();
    focusFirst(element);
    return () => {
      element.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      class="dialog"
      ref={dialog}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        if (!props.busy) props.onClose();
      }}
    >
      <div class="dialog-head">
        <h2 id={id} tabIndex={-1}>
          {props.title}
        </h2>
        {!props.busy && <IconButton icon="close" label={t("ui.close")} onClick={props.onClose} />}
      </div>
      <div class="dialog-body">{props.children}</div>
    </dialog>
  );
}
