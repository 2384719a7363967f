import type { ComponentChildren, JSX } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";

import { Icon, type IconName } from "./Icon";

export interface MenuItem {
  readonly label: string;
  readonly icon?: IconName;
  readonly href?: string;
  readonly onChoose?: () => void;
  readonly danger?: boolean;
}

/** A button that opens a list of links and actions. */
export function Menu(props: {
  readonly label: string;
  readonly icon: IconName;
  /** Shown beside the icon; without it the label is only read out. */
  readonly text?: ComponentChildren;
  readonly head?: ComponentChildren;
  readonly items: readonly MenuItem[];
}): JSX.Element {
  const [open, setOpen] = useState(false);
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => {
    if (!open) return;
    const outside = (event: PointerEvent): void => {
      if (!(event.target instanceof Node && box.current?.contains(event.target))) setOpen(false);
    };
    addEventListener("pointerdown", outside);
    box.current?.querySelector<HTMLElement>("ul a, ul button")?.focus();
    return () => removeEventListener("pointerdown", outside);
  }, [open]);
  const move = (event: KeyboardEvent): void => {
    if (event.key === "Escape") {
      event.stopPropagation();
      setOpen(false);
      button.current?.focus();
      return;
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const items = [...(box.current?.querySelectorAll<HTMLElement>("ul a, ul button") ?? [])];
    if (step === undefined || items.length === 0) return;
    event.preventDefault();
    const at = items.findIndex((item) => item === document.activeElement);
    items[(at + step + items.length) % items.length]?.focus();
  };
  return (
    <div
      class="menu"
      ref={box}
      onKeyDown={open ? move : undefined}
      onFocusOut={(event) => {
        if (event.relatedTarget instanceof Node && !event.currentTarget.contains(event.relatedTarget)) setOpen(false);
      }}
    >
      <button
        type="button"
        ref={button}
        class={`button quiet ${props.text === undefined ? "icon" : ""}`}
        aria-expanded={open ? "true" : "false"}
        aria-controls={open ? id : undefined}
        aria-label={props.label}
        title={props.label}
        onClick={() => setOpen(!open)}
      >
        <Icon name={props.icon} />
        {props.text !== undefined && <span>{props.text}</span>}
      </button>
      {open && (
        <div class="menu-list" id={id}>
          {props.head}
          <ul class="plain">
            {props.items.map((item) => (
              <li key={item.label}>
                {item.href === undefined ? (
                  <button
                    type="button"
                    class={item.danger ? "danger" : ""}
                    onClick={() => {
                      setOpen(false);
                      button.current?.focus();
                      item.onChoose?.();
                    }}
                  >
                    {item.icon !== undefined && <Icon name={item.icon} />}
                    {item.label}
                  </button>
                ) : (
                  <a href={item.href} class={item.danger ? "danger" : ""} onClick={() => setOpen(false)}>
                    {item.icon !== undefined && <Icon name={item.icon} />}
                    {item.label}
                  </a>
                )}
              </li>
            ))}
          </ul>
        </div>
      )}
    </div>
  );
}
