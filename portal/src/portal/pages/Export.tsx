// All keys in one file that a passphrase opens.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { t } from "../../i18n";
import { Button, Empty, LinkButton, Notice, PageHead, saveFile, to, Trouble, Waiting } from "../../ui";
import { ConfirmForm } from "../Confirming";
import { type Chosen, NewPassword, NOT_CHOSEN, wrongWith } from "../NewPassword";
import { keys, trail, useRead, vault } from "../state";

export function Export(): JSX.Element {
  const read = useRead(keys);
  const [chosen, setChosen] = useState<Chosen>(NOT_CHOSEN);
  const [wrong, setWrong] = useState<{ password?: string; again?: string }>({});
  const [made, setMade] = useState<{ name: string; bytes: Uint8Array; keys: number } | null>(null);
  const count = (read.value ?? []).filter((key) => !key.former).length;
  return (
    <>
      <PageHead title={t("export.title")} lead={t("export.lead")} back={{ href: to("security"), label: t("security.title") }} />
      <div class="stack">
        {read.failure !== null && <Trouble failure={read.failure} onRetry={read.again} />}
        {read.value === null && read.failure === null && <Waiting />}
        {read.value !== null && count === 0 && (
          <Empty icon="key" title={t("keys.none")}>
            <p>{t("keys.none.lead")}</p>
            <LinkButton kind="main" icon="save" href={to("save")}>
              {t("keys.none.save")}
            </LinkButton>
          </Empty>
        )}
        {made !== null && (
          <>
            <Notice kind="good" live="status">
              {t("export.done", { count: made.keys })}
            </Notice>
            <div class="buttons">
              <Button kind="main" icon="download" onClick={() => saveFile(made.name, made.bytes)}>
                {t("export.save")}
              </Button>
            </div>
            <p class="soft">{t("export.open")}</p>
          </>
        )}
        {made === null && count > 0 && (
          <div class="card">
            <ConfirmForm
              action={t("export.action", { count })}
              failed={t("export.failed")}
              check={() => {
                const missing = wrongWith(chosen);
                setWrong(missing);
                return Object.keys(missing).length === 0;
              }}
              run={async (confirm, asks) => {
                const file = await vault().exportKeys(chosen.password, confirm, asks);
                setMade(file);
                saveFile(file.name, file.bytes);
                trail.forget();
              }}
            >
              <Notice kind="warn">{t("export.warning")}</Notice>
              <NewPassword email="" value={chosen} onInput={setChosen} wrong={wrong} label={t("export.passphrase")} againLabel={t("export.passphrase.again")} />
            </ConfirmForm>
          </div>
        )}
      </div>
    </>
  );
}
