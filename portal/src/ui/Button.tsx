import type { ComponentChildren, JSX } from "preact";

import { Icon, type IconName } from "./Icon";

interface Look {
  /** `main`: the one main action of a page. */
  readonly kind?: "main" | "plain" | "quiet" | "danger" | "danger-main";
  readonly icon?: IconName;
  readonly wide?: boolean;
}

function classes({ kind = "plain", wide = false }: Look, more = ""): string {
  const of = { main: "main", plain: "", quiet: "quiet", danger: "danger", "danger-main": "danger main" }[kind];
  return `button ${of} ${wide ? "wide" : ""} ${more}`.replace(/\s+/g, " ").trim();
}

export interface ButtonProps extends Look {
  readonly children: ComponentChildren;
  readonly type?: "button" | "submit";
  readonly onClick?: (event: MouseEvent) => void;
  /** At work: keeps its size and its focus, and takes no clicks. */
  readonly busy?: boolean;
  readonly off?: boolean;
  readonly id?: string;
  readonly autofocus?: boolean;
  readonly describedBy?: string;
  /** What is read out where the words alone say too little; it holds them. */
  readonly label?: string;
}

export function Button(props: ButtonProps): JSX.Element {
  const { children, type = "button", onClick, busy = false, off = false, icon } = props;
  const idle = busy || off;
  return (
    <button
      id={props.id}
      type={type}
      class={classes(props)}
      // Not `disabled`: a button that loses the focus while it works leaves keyboard users nowhere.
      aria-disabled={idle ? "true" : undefined}
      aria-busy={busy ? "true" : undefined}
      aria-describedby={props.describedBy}
      aria-label={props.label}
      data-autofocus={props.autofocus ? "" : undefined}
      onClick={(event) => {
        if (idle) {
          event.preventDefault();
          return;
        }
        onClick?.(event);
      }}
    >
      {busy ? <span class="spinner" aria-hidden="true" /> : icon !== undefined && <Icon name={icon} />}
      <span>{children}</span>
    </button>
  );
}

/** A way to another page that looks like a button. */
export function LinkButton(
  props: Look & { readonly href: string; readonly children: ComponentChildren; readonly download?: string },
): JSX.Element {
  return (
    <a class={classes(props)} href={props.href} download={props.download}>
      {props.icon !== undefined && <Icon name={props.icon} />}
      <span>{props.children}</span>
    </a>
  );
}

/** A button with an icon alone; `label` is read out and shown as its title. */
export function IconButton(props: {
  readonly icon: IconName;
  readonly label: string;
  readonly onClick: () => void;
  readonly pressed?: boolean;
}): JSX.Element {
  return (
    <button
      type="button"
      class="button quiet icon"
      aria-label={props.label}
      title={props.label}
      aria-pressed={props.pressed === undefined ? undefined : props.pressed ? "true" : "false"}
      onClick={props.onClick}
    >
      <Icon name={props.icon} />
    </button>
  );
}
