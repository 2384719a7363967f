// Fields of forms: a label, a hint, and what is wrong, all tied to the input for those who hear the page.

import type { ComponentChildren, JSX } from "preact";
import { useId, useState } from "preact/hooks";

import { t } from "../i18n";
import { Icon } from "./Icon";

interface Told {
  readonly label: ComponentChildren;
  readonly hint?: ComponentChildren;
  readonly error?: string | undefined;
}

/** The frame of a field: what is around an input. The input gets the attributes that tie it to its texts. */
export function Framed(
  props: Told & {
    readonly id: string;
    readonly children: (tied: { id: string; "aria-describedby"?: string; "aria-invalid"?: "true" }) => ComponentChildren;
    readonly after?: ComponentChildren;
  },
): JSX.Element {
  const { id, label, hint, error } = props;
  const described = [hint === undefined ? "" : `${id}-hint`, error === undefined ? "" : `${id}-wrong`].filter(Boolean).join(" ");
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {hint !== undefined && (
        <div class="hint" id={`${id}-hint`}>
          {hint}
        </div>
      )}
      {props.children({
        id,
        ...(described === "" ? {} : { "aria-describedby": described }),
        ...(error === undefined ? {} : { "aria-invalid": "true" as const }),
      })}
      {error !== undefined && (
        <div class="wrong" id={`${id}-wrong`}>
          <Icon name="bad" size={18} />
          <span>{error}</span>
        </div>
      )}
      {props.after}
    </div>
  );
}

export interface FieldProps extends Told {
  readonly value: string;
  readonly onInput: (value: string) => void;
  readonly type?: "text" | "email" | "search" | "url";
  readonly autocomplete?: string;
  readonly required?: boolean;
  readonly maxLength?: number;
  readonly placeholder?: string;
  readonly autofocus?: boolean;
  readonly readOnly?: boolean;
  readonly class?: string;
  /** A value that is neither learnt by the keyboard nor corrected. */
  readonly exact?: boolean;
  readonly name?: string;
  readonly id?: string;
}

export function Field(props: FieldProps): JSX.Element {
  const made = useId();
  return (
    <Framed {...props} id={props.id ?? made}>
      {(tied) => (
        <input
          {...tied}
          class={`input ${props.class ?? ""}`}
          type={props.type ?? "text"}
          name={props.name}
          value={props.value}
          required={props.required}
          readOnly={props.readOnly}
          maxLength={props.maxLength}
          placeholder={props.placeholder}
          autocomplete={props.autocomplete ?? "off"}
          data-autofocus={props.autofocus ? "" : undefined}
          {...(props.exact || props.type === "email" ? { autocapitalize: "off", autocorrect: "off", spellcheck: false } : {})}
          onInput={(event) => props.onInput(event.currentTarget.value)}
        />
      )}
    </Framed>
  );
}

export function TextArea(props: Omit<FieldProps, "type"> & { readonly rows?: number }): JSX.Element {
  const id = useId();
  return (
    <Framed {...props} id={id}>
      {(tied) => (
        <textarea
          {...tied}
          class={`input ${props.class ?? ""}`}
          rows={props.rows ?? 6}
          value={props.value}
          placeholder={props.placeholder}
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          onInput={(event) => props.onInput(event.currentTarget.value)}
        />
      )}
    </Framed>
  );
}

export function Select<V extends string>(
  props: Told & {
    readonly value: V;
    readonly options: readonly { readonly value: V; readonly label: string }[];
    readonly onChange: (value: V) => void;
  },
): JSX.Element {
  const id = useId();
  return (
    <Framed {...props} id={id}>
      {(tied) => (
        <select {...tied} class="input" value={props.value} onChange={(event) => props.onChange(event.currentTarget.value as V)}>
          {props.options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.label}
            </option>
          ))}
        </select>
      )}
    </Framed>
  );
}

/** How hard a password is to guess: 0 to 4, and words on how to make it better. */
export interface Strength {
  readonly score: 0 | 1 | 2 | 3 | 4;
  readonly words: string;
}

export interface PasswordFieldProps extends Told {
  readonly value: string;
  readonly onInput: (value: string) => void;
  /** `new`: a password manager offers one; `current`: it fills one in. */
  readonly use: "new" | "current";
  /** Shown as a meter under the field. `undefined` leaves the meter out, `null` keeps its place. */
  readonly strength?: Strength | null;
  readonly autofocus?: boolean;
  readonly required?: boolean;
}

export function PasswordField(props: PasswordFieldProps): JSX.Element {
  const id = useId();
  const [shown, setShown] = useState(false);
  const strength = props.strength;
  return (
    <Framed
      {...props}
      id={id}
      after={
        strength !== undefined && (
          <div>
            <div class={`strength s${String(strength?.score ?? 0)}`} aria-hidden="true">
              <i />
              <i />
              <i />
              <i />
            </div>
            <div class="strength-words" role="status">
              {strength?.words}
            </div>
          </div>
        )
      }
    >
      {(tied) => (
        <div class="with-button">
          <input
            {...tied}
            class="input"
            type={shown ? "text" : "password"}
            value={props.value}
            required={props.required}
            autocomplete={props.use === "new" ? "new-password" : "current-password"}
            autocapitalize="off"
            autocorrect="off"
            spellcheck={false}
            data-autofocus={props.autofocus ? "" : undefined}
            onInput={(event) => props.onInput(event.currentTarget.value)}
          />
          <button
            type="button"
            class="button icon"
            aria-pressed={shown ? "true" : "false"}
            aria-label={t("ui.password.show")}
            title={t("ui.password.show")}
            onClick={() => setShown(!shown)}
          >
            <Icon name={shown ? "eyeOff" : "eye"} />
          </button>
        </div>
      )}
    </Framed>
  );
}

/** Six digits. Pasted spaces and dashes are dropped; `onFull` is called when the last digit is there. */
export function CodeField(
  props: Told & {
    readonly value: string;
    readonly onInput: (value: string) => void;
    readonly onFull?: (value: string) => void;
    readonly autofocus?: boolean;
  },
): JSX.Element {
  const id = useId();
  return (
    <Framed {...props} id={id}>
      {(tied) => (
        <input
          {...tied}
          class="input code"
          type="text"
          inputMode="numeric"
          autocomplete="one-time-code"
          pattern="[0-9]*"
          size={6}
          value={props.value}
          data-autofocus={props.autofocus ? "" : undefined}
          onInput={(event) => {
            const digits = event.currentTarget.value.replace(/\D/g, "").slice(0, 6);
            event.currentTarget.value = digits;
            const grew = digits.length > props.value.length;
            props.onInput(digits);
            if (grew && digits.length === 6) props.onFull?.(digits);
          }}
        />
      )}
    </Framed>
  );
}

/** One of a few things, each with a line that explains it. */
export function Choices<V extends string>(props: {
  readonly legend: ComponentChildren;
  readonly legendHidden?: boolean;
  readonly value: V | null;
  readonly options: readonly { readonly value: V; readonly label: string; readonly hint?: string }[];
  readonly onChange: (value: V) => void;
}): JSX.Element {
  const name = useId();
  return (
    <fieldset>
      <legend class={props.legendHidden ? "unseen" : "field-label"}>{props.legend}</legend>
      <div class="stack-s">
        {props.options.map((option) => (
          <label class="choice" key={option.value}>
            <input
              type="radio"
              name={name}
              value={option.value}
              checked={option.value === props.value}
              onChange={() => props.onChange(option.value)}
            />
            <span class="grow">
              <b>{option.label}</b>
              {option.hint !== undefined && <small>{option.hint}</small>}
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

export function Check(props: {
  readonly checked: boolean;
  readonly onChange: (checked: boolean) => void;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <label class="check">
      <input type="checkbox" checked={props.checked} onChange={(event) => props.onChange(event.currentTarget.checked)} />
      <span class="grow">{props.children}</span>
    </label>
  );
}
