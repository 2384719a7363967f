import type { ComponentChildren, JSX } from "preact";
import { useId, useRef } from "preact/hooks";

/** Views of one thing, of which one is shown. Arrow keys go from tab to tab. */
export function Tabs<V extends string>(props: {
  readonly label: string;
  readonly value: V;
  readonly options: readonly { readonly value: V; readonly label: string }[];
  readonly onChange: (value: V) => void;
  readonly children: ComponentChildren;
}): JSX.Element {
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const move = (event: KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const { options } = props;
    const at = options.findIndex((option) => option.value === props.value);
    const next = (at + step + options.length) % options.length;
    const chosen = options[next];
    if (chosen !== undefined) props.onChange(chosen.value);
    list.current?.querySelectorAll<HTMLElement>("button")[next]?.focus();
  };
  return (
    <div class="stack">
      <div class="tabs" role="tablist" aria-label={props.label} ref={list} onKeyDown={move}>
        {props.options.map((option) => {
          const chosen = option.value === props.value;
          return (
            <button
              key={option.value}
              type="button"
              role="tab"
              id={`${id}-${option.value}`}
              aria-selected={chosen ? "true" : "false"}
              aria-controls={`${id}-panel`}
              tabIndex={chosen ? 0 : -1}
              onClick={() => props.onChange(option.value)}
            >
              {option.label}
            </button>
          );
        })}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${props.value}`} class="stack">
        {props.children}
      </div>
    </div>
  );
}
