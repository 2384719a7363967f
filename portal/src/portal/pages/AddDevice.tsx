// Enrolling a computer: by the two codes that it shows, or by its link (from a QR code, or pasted).

import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { rich, t } from "../../i18n";
import { Button, Empty, Field, LinkButton, More, Notice, PageHead, to } from "../../ui";
import { ConfirmForm } from "../Confirming";
import { devices, trail, vault } from "../state";

/** The link this page was opened with. It is a secret until it is used, so it stays out of the address and the history. */
export const openedLink = signal<string | null>(null);

const LINK = /\/enrol#[A-Z0-9-]+\.[\w-]+$/i;

function letters(text: string): string {
  return text.replace(/[\s-]/g, "").toUpperCase();
}

export function AddDevice(): JSX.Element {
  const [done, setDone] = useState(false);
  const back = { href: to("devices"), label: t("devices.title") };
  if (done)
    return (
      <>
        <PageHead title={t("enrol.done")} back={back} />
        <Empty icon="shieldCheck" title={t("enrol.done.title")}>
          <p>{t("enrol.done.lead")}</p>
          <div class="buttons">
            <LinkButton kind="main" href={to("devices")}>
              {t("devices.title")}
            </LinkButton>
            <Button onClick={() => setDone(false)}>{t("enrol.another")}</Button>
          </div>
        </Empty>
      </>
    );
  const finish = (): void => {
    openedLink.value = null;
    trail.forget();
    void devices.load();
    setDone(true);
  };
  if (openedLink.value !== null) return <ByLink link={openedLink.value} onDone={finish} />;
  return <ByCodes onDone={finish} />;
}

function ByLink(props: { readonly link: string; readonly onDone: () => void }): JSX.Element {
  return (
    <>
      <PageHead title={t("enrol.link.title")} lead={t("enrol.link.lead")} back={{ href: to("devices"), label: t("devices.title") }} />
      <div class="stack">
        <Notice kind="warn">{t("enrol.mine")}</Notice>
        <div class="card">
          <ConfirmForm
            action={t("enrol.approve")}
            failed={t("enrol.failed")}
            run={async (confirm, asks) => {
              await vault().approveLink(props.link, confirm, asks);
              props.onDone();
            }}
          />
        </div>
        <div>
          <button
            type="button"
            class="text-button"
            onClick={() => {
              openedLink.value = null;
            }}
          >
            {t("enrol.link.drop")}
          </button>
        </div>
      </div>
    </>
  );
}

function ByCodes(props: { readonly onDone: () => void }): JSX.Element {
  const [user, setUser] = useState("");
  const [check, setCheck] = useState("");
  const [wrong, setWrong] = useState<{ user?: string; check?: string }>({});
  const isLink = LINK.test(user.trim());
  return (
    <>
      <PageHead title={t("enrol.title")} lead={t("enrol.lead")} back={{ href: to("devices"), label: t("devices.title") }} />
      <div class="stack-l">
        <ol class="stack-s">
          <li>{rich("enrol.step.1", { code: (inner) => <code class="name">{inner}</code> }, { origin: location.origin })}</li>
          <li>{t("enrol.step.2")}</li>
        </ol>
        <div class="card">
          <ConfirmForm
            action={t("enrol.approve")}
            failed={t("enrol.failed")}
            check={() => {
              const missing: typeof wrong = {};
              if (!isLink) {
                if (letters(user).length !== 8) missing.user = t("enrol.code.wrong");
                if (letters(check).length !== 8) missing.check = t("enrol.code.wrong");
              }
              setWrong(missing);
              return Object.keys(missing).length === 0;
            }}
            run={async (confirm, asks) => {
              if (isLink) await vault().approveLink(user.trim(), confirm, asks);
              else await vault().approveDevice(user.trim(), check.trim(), confirm, asks);
              props.onDone();
            }}
          >
            <Field
              label={t("enrol.code")}
              hint={t("enrol.code.hint")}
              value={user}
              onInput={setUser}
              error={wrong.user}
              class="code letters"
              exact
              placeholder="BCDF-GHJK"
            />
            {!isLink && (
              <Field
                label={t("enrol.check")}
                hint={t("enrol.check.hint")}
                value={check}
                onInput={setCheck}
                error={wrong.check}
                class="code letters"
                exact
                placeholder="LMNP-QRST"
              />
            )}
          </ConfirmForm>
        </div>
        <div>
          <More title={t("enrol.by_link")}>
            <p>{rich("enrol.by_link.lead", { code: (inner) => <code>{inner}</code> })}</p>
          </More>
          <More title={t("enrol.may")}>
            <p>{t("enrol.may.lead")}</p>
          </More>
        </div>
      </div>
    </>
  );
}
