import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { t } from "../i18n";
import { Button, PasswordField, Trouble } from "../ui";
import { useWork } from "./work";

/** A form with the password alone, for what needs no second factor but the one that acts. */
export function PasswordOnly(props: {
  readonly password: string;
  readonly onInput: (password: string) => void;
  readonly action: string;
  readonly run: () => Promise<void>;
  readonly onBusy?: (busy: boolean) => void;
}): JSX.Element {
  const [wrong, setWrong] = useState<string>();
  const work = useWork();
  useEffect(() => props.onBusy?.(work.busy), [work.busy]);
  return (
    <form
      class="stack"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        setWrong(props.password === "" ? t("confirm.password.missing") : undefined);
        if (props.password !== "") void work.run(props.run);
      }}
    >
      <PasswordField
        label={t("confirm.password")}
        use="current"
        value={props.password}
        onInput={props.onInput}
        error={wrong}
        autofocus
      />
      {work.failure !== null && <Trouble failure={work.failure} />}
      <div class="buttons">
        <Button kind="main" type="submit" icon="passkey" busy={work.busy}>
          {props.action}
        </Button>
      </div>
    </form>
  );
}
