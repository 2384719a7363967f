import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { t } from "../i18n";
import { PasswordField, type Strength } from "../ui";
import { vault } from "./state";

/** What the owner has typed, and whether it is strong enough. */
export interface Chosen {
  readonly password: string;
  readonly again: string;
  readonly score: number | null;
}

export const NOT_CHOSEN: Chosen = { password: "", again: "", score: null };

/** What is wrong with it; nothing when it will do. */
export function wrongWith(chosen: Chosen): { password?: string; again?: string } {
  if (chosen.password === "") return { password: t("password.missing") };
  if (chosen.score !== null && chosen.score < 3) return { password: t("password.weak") };
  if (chosen.again !== chosen.password) return { again: t("password.differs") };
  return {};
}

/** A new password, twice, with what guessing it would take. */
export function NewPassword(props: {
  readonly email: string;
  readonly value: Chosen;
  readonly onInput: (value: Chosen) => void;
  readonly wrong: { password?: string; again?: string };
  readonly label?: string;
  readonly autofocus?: boolean;
}): JSX.Element {
  const { value } = props;
  const [strength, setStrength] = useState<Strength | null>(null);
  // The answer comes after a while; what was typed meanwhile, in the other field too, is kept.
  const latest = useRef(value);
  latest.current = value;
  useEffect(() => {
    if (value.password === "") {
      setStrength(null);
      return;
    }
    let current = true;
    const timer = setTimeout(() => {
      vault()
        .strength(value.password, props.email)
        .then(
          ({ score }) => {
            if (!current) return;
            setStrength({ score, words: t(`password.score.${score}`) });
            props.onInput({ ...latest.current, score });
          },
          () => undefined,
        );
    }, 150);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [value.password, props.email]);
  return (
    <>
      <PasswordField
        label={props.label ?? t("password.new")}
        hint={t("password.hint")}
        use="new"
        value={value.password}
        onInput={(password) => props.onInput({ ...value, password, score: null })}
        error={props.wrong.password}
        strength={strength}
        autofocus={props.autofocus ?? false}
      />
      <PasswordField
        label={t("password.again")}
        use="new"
        value={value.again}
        onInput={(again) => props.onInput({ ...value, again })}
        error={props.wrong.again}
      />
    </>
  );
}
