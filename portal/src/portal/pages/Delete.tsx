// Deleting the account, or one saved key: announced, held for thirty days, cancellable.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { dateTime, t } from "../../i18n";
import { Button, LinkButton, Notice, PageHead, say, to } from "../../ui";
import { ConfirmDialog } from "../Confirming";
import { account, keys, trail, useRead, vault, waits } from "../state";
import { Waits } from "./Waits";

function begun(): void {
  trail.forget();
  void Promise.all([waits.load(), account.load(), keys.load()]);
}

export function Delete(): JSX.Element {
  useRead(waits);
  const [asking, setAsking] = useState(false);
  const runs = (waits.value.value ?? []).some((wait) => wait.kind === "delete-account");
  const back = { href: to("security"), label: t("security.title") };
  return (
    <>
      <PageHead title={t("delete.title")} lead={t("delete.lead")} back={back} />
      <div class="stack">
        <Waits />
        <ul>
          <li>{t("delete.1")}</li>
          <li>{t("delete.2")}</li>
          <li>{t("delete.3")}</li>
        </ul>
        <Notice>{t("delete.export_first")}</Notice>
        <div class="buttons">
          <LinkButton icon="download" href={to("export")}>
            {t("export.title")}
          </LinkButton>
          {!runs && (
            <Button kind="danger" icon="trash" onClick={() => setAsking(true)}>
              {t("delete.begin")}
            </Button>
          )}
        </div>
      </div>
      {asking && (
        <ConfirmDialog
          title={t("delete.ask")}
          lead={<p>{t("delete.lead")}</p>}
          action={t("delete.begin")}
          kind="danger-main"
          needsVault={false}
          failed={t("delete.not_begun")}
          onClose={() => setAsking(false)}
          run={async (confirm, asks) => {
            const wait = await vault().deleteAccount(confirm, asks);
            say(t("delete.begun", { at: dateTime(wait.dueAt) }));
            begun();
          }}
        />
      )}
    </>
  );
}

/** One saved key: its hold, or the way to begin one. */
export function DeleteKey(props: { readonly recordId: string }): JSX.Element | null {
  useRead(waits);
  const [asking, setAsking] = useState(false);
  const runs = (waits.value.value ?? []).some((wait) => wait.target === props.recordId);
  if (runs) return <Waits of={props.recordId} />;
  return (
    <div>
      <Button kind="danger" icon="trash" onClick={() => setAsking(true)}>
        {t("delete.key")}
      </Button>
      {asking && (
        <ConfirmDialog
          title={t("delete.key.ask")}
          lead={<p>{t("delete.key.lead")}</p>}
          action={t("delete.begin")}
          kind="danger-main"
          needsVault={false}
          failed={t("delete.not_begun")}
          onClose={() => setAsking(false)}
          run={async (confirm, asks) => {
            const wait = await vault().deleteRecord(props.recordId, confirm, asks);
            say(t("delete.begun", { at: dateTime(wait.dueAt) }));
            begun();
          }}
        />
      )}
    </div>
  );
}
