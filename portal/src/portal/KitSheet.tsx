// The emergency kit: shown, printed or saved, and proven to be kept by its last six characters.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { date, t } from "../i18n";
import { Button, Facts, Field, focusWrong, Notice, Qr, type QrMatrix, saveFile } from "../ui";
import { vault } from "./state";
import type { Kit } from "./vault";

function kitText(kit: Kit): string {
  return [
    t("kit.sheet.title").toUpperCase(),
    "",
    `  ${t("kit.account")}: ${kit.email}`,
    `  ${t("kit.service")}: ${kit.server}`,
    `  ${t("kit.fingerprint")}: ${kit.fingerprint}`,
    // The word that the command line looks for when it reads a kit.
    `  Code ${kit.code}`,
    "",
    t("kit.sheet.about"),
    "",
  ].join("\r\n");
}

function plain(text: string): string {
  return text.replace(/[\s-]/g, "").toUpperCase();
}

export function KitSheet(props: {
  readonly kit: Kit;
  readonly onKept: () => void;
  readonly onCancel: () => void;
  readonly cancelWords?: string;
}): JSX.Element {
  const { kit } = props;
  const [typed, setTyped] = useState("");
  const [wrong, setWrong] = useState<string>();
  const [qr, setQr] = useState<QrMatrix | null>(null);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    vault().qr(`keyhaven-kit:${kit.code}`).then(setQr, () => setQr(null));
  }, [kit]);
  return (
    <div class="stack-l">
      <div class="sheet">
        <h2>{t("kit.sheet.title")}</h2>
        <Facts
          of={[
            [t("kit.account"), <span class="name">{kit.email}</span>],
            [t("kit.service"), <span class="name">{kit.server}</span>],
            [t("kit.fingerprint"), <code>{kit.fingerprint}</code>],
            [t("kit.made"), date(Date.now())],
          ]}
        />
        <div>
          <div class="soft">{t("kit.code")}</div>
          <div class="secret">{kit.code}</div>
        </div>
        {qr !== null && <Qr matrix={qr} label={t("kit.qr")} />}
        <p class="small">{t("kit.sheet.about")}</p>
      </div>
      <div class="buttons">
        <Button icon="print" onClick={() => print()}>
          {t("kit.print")}
        </Button>
        <Button
          icon="download"
          onClick={() => saveFile(`keyhaven-kit-${kit.email.replace(/[^\w.@-]/g, "_")}.txt`, kitText(kit), "text/plain")}
        >
          {t("kit.save")}
        </Button>
      </div>
      <form
        class="card no-print"
        noValidate
        ref={form}
        onSubmit={(event) => {
          event.preventDefault();
          if (plain(typed).length >= 6 && plain(kit.code).endsWith(plain(typed).slice(-6))) {
            props.onKept();
            return;
          }
          setWrong(t("kit.check.wrong"));
          focusWrong(form.current);
        }}
      >
        <Field
          label={t("kit.check")}
          hint={t("kit.check.hint")}
          value={typed}
          onInput={setTyped}
          error={wrong}
          class="code letters"
          exact
          maxLength={40}
        />
        <Notice>{t("kit.why")}</Notice>
        <div class="buttons">
          <Button kind="main" type="submit">
            {t("kit.kept")}
          </Button>
          <Button kind="quiet" onClick={props.onCancel}>
            {props.cancelWords ?? t("ui.cancel")}
          </Button>
        </div>
      </form>
    </div>
  );
}
