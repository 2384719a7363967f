import type { JSX } from "preact";

import { rich, t } from "../../i18n";
import { LinkButton, Notice, to } from "../../ui";
import { ended } from "../state";

/** The first page for somebody who is not signed in. */
export function Welcome(): JSX.Element {
  return (
    <div class="stack-l">
      <div class="stack">
        {ended.value === "signed-out" && <Notice kind="good">{t("welcome.signed_out")}</Notice>}
        <h1 tabIndex={-1}>{t("welcome.title")}</h1>
        <p class="soft">{t("welcome.lead")}</p>
      </div>
      <div class="card">
        <h2>{t("welcome.locked")}</h2>
        <p>{t("welcome.locked.lead")}</p>
        <LinkButton kind="main" wide icon="key" href={to("sign-in")}>
          {t("sign_in.action")}
        </LinkButton>
        <LinkButton kind="quiet" wide href={to("lost")}>
          {t("welcome.lost")}
        </LinkButton>
      </div>
      <div class="card">
        <h2>{t("welcome.new")}</h2>
        <p>{t("welcome.new.lead")}</p>
        <LinkButton wide href={to("sign-up")}>
          {t("sign_up.action")}
        </LinkButton>
      </div>
      <p class="small soft">
        {rich("welcome.trust", { link: (text) => <a href={to("trust")}>{text}</a> })}
      </p>
    </div>
  );
}
