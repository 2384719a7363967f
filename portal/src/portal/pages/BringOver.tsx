// The kit of before a new start turned up: its keys are read, and saved again under the present ones.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { t } from "../../i18n";
import { Button, Field, LinkButton, Notice, PageHead, to } from "../../ui";
import { ConfirmForm } from "../Confirming";
import { keys, trail, vault } from "../state";
import type { BroughtOver } from "../vault";

export function BringOver(): JSX.Element {
  const [kitCode, setKitCode] = useState("");
  const [wrong, setWrong] = useState<string>();
  const [done, setDone] = useState<BroughtOver | null>(null);
  return (
    <>
      <PageHead title={t("bring_over.title")} lead={t("bring_over.lead")} back={{ href: to("keys"), label: t("keys.title") }} />
      {done === null ? (
        <div class="card">
          <ConfirmForm
            action={t("bring_over.action")}
            failed={t("bring_over.failed")}
            check={() => {
              const missing = kitCode.trim() === "" ? t("kit.code.missing") : undefined;
              setWrong(missing);
              return missing === undefined;
            }}
            run={async (confirm, asks) => {
              setDone(await vault().bringOver(kitCode.trim(), confirm, asks));
              setKitCode("");
              keys.forget();
              trail.forget();
            }}
          >
            <Field
              label={t("bring_over.kit")}
              hint={t("kit.code.hint")}
              value={kitCode}
              onInput={setKitCode}
              error={wrong}
              class="code letters"
              exact
              maxLength={64}
            />
          </ConfirmForm>
        </div>
      ) : (
        <Done of={done} onAgain={() => setDone(null)} />
      )}
    </>
  );
}

function Done(props: { readonly of: BroughtOver; readonly onAgain: () => void }): JSX.Element {
  const { saved, known, waiting, unreadable, left } = props.of;
  return (
    <div class="stack">
      <Notice kind={unreadable + waiting + left > 0 ? "warn" : "good"} live="status">
        <p class="strong">{t("bring_over.saved", { count: saved })}</p>
        {known > 0 && <p>{t("bring_over.known", { count: known })}</p>}
        {waiting > 0 && <p>{t("bring_over.waiting", { count: waiting })}</p>}
        {unreadable > 0 && <p>{t("bring_over.unreadable", { count: unreadable })}</p>}
        {left > 0 && <p>{t("bring_over.left", { count: left })}</p>}
      </Notice>
      <div class="buttons">
        <LinkButton kind="main" icon="key" href={to("keys")}>
          {t("keys.title")}
        </LinkButton>
        {left + waiting > 0 && <Button onClick={props.onAgain}>{t("bring_over.action")}</Button>}
      </div>
    </div>
  );
}
