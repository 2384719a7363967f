import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { date, t } from "../i18n";
import { Button, Check, saveFile } from "../ui";

/** Ten codes, shown once. */
export function BackupCodes(props: {
  readonly codes: readonly string[];
  readonly email: string;
  readonly onKept: () => void;
  readonly onCancel: () => void;
}): JSX.Element {
  const [kept, setKept] = useState(false);
  const text = (): string =>
    [t("codes.sheet.title"), props.email, date(Date.now()), "", ...props.codes, "", t("codes.sheet.about"), ""].join("\r\n");
  return (
    <div class="stack">
      <div class="sheet">
        <h2>{t("codes.sheet.title")}</h2>
        <p class="small soft name">
          {props.email} · {date(Date.now())}
        </p>
        <ol class="codes">
          {props.codes.map((code) => (
            <li key={code}>{code}</li>
          ))}
        </ol>
        <p class="small">{t("codes.sheet.about")}</p>
      </div>
      <div class="buttons">
        <Button icon="print" onClick={() => print()}>
          {t("kit.print")}
        </Button>
        <Button icon="download" onClick={() => saveFile("keyhaven-backup-codes.txt", text(), "text/plain")}>
          {t("kit.save")}
        </Button>
      </div>
      <Check checked={kept} onChange={setKept}>
        {t("codes.kept.check")}
      </Check>
      <div class="buttons">
        <Button kind="main" off={!kept} onClick={props.onKept}>
          {t("codes.kept")}
        </Button>
        <Button kind="quiet" onClick={props.onCancel}>
          {t("ui.cancel")}
        </Button>
      </div>
    </div>
  );
}
