// Deleting the account: announced, held for thirty days, cancellable.

import type { JSX } from "preact";

import { t } from "../../i18n";
import { LinkButton, Notice, PageHead, to } from "../../ui";
import { useRead, waits } from "../state";
import { Waits } from "./Waits";

export function Delete(): JSX.Element {
  useRead(waits);
  return (
    <>
      <PageHead title={t("delete.title")} lead={t("delete.lead")} back={{ href: to("security"), label: t("security.title") }} />
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
        </div>
      </div>
    </>
  );
}
