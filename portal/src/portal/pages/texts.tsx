// Pages that only explain.

import type { JSX } from "preact";

import { rich, t } from "../../i18n";
import { Empty, LinkButton, Notice, PageHead, Section, to } from "../../ui";
import { session } from "../state";

function home(): string {
  return session.value === null ? to() : to("keys");
}

/** The old advice, and why it is not needed. */
export function Why(): JSX.Element {
  return (
    <>
      <PageHead title={t("why.title")} lead={t("why.lead")} />
      <div class="stack">
        <Section title={t("why.old")}>
          <p>{t("why.old.lead")}</p>
        </Section>
        <Section title={t("why.here")}>
          <ul>
            <li>{t("why.here.1")}</li>
            <li>{t("why.here.2")}</li>
            <li>{t("why.here.3")}</li>
          </ul>
        </Section>
        <Section title={t("why.how")}>
          <ol>
            <li>{t("why.how.1")}</li>
            <li>{rich("why.how.2", { link: (inner) => <a href={to("save")}>{inner}</a> })}</li>
            <li>{rich("why.how.3", { link: (inner) => <a href={to("devices", "add")}>{inner}</a> })}</li>
          </ol>
        </Section>
        <Section title={t("why.danger")}>
          <Notice kind="warn">{t("why.danger.lead")}</Notice>
        </Section>
        <div class="buttons">
          <LinkButton kind="main" icon="save" href={to("save")}>
            {t("save.title")}
          </LinkButton>
        </div>
      </div>
    </>
  );
}

/** Who can read what, and where a browser has its limit. */
export function Trust(): JSX.Element {
  return (
    <>
      <PageHead title={t("trust.title")} lead={t("trust.lead")} />
      <div class="stack">
        <Section title={t("trust.sealed")}>
          <p>{t("trust.sealed.lead")}</p>
        </Section>
        <Section title={t("trust.learns")}>
          <p>{t("trust.learns.lead")}</p>
        </Section>
        <Section title={t("trust.limit")}>
          <Notice kind="warn">
            <p>{t("trust.limit.lead")}</p>
            <p>{rich("trust.limit.instead", { code: (inner) => <code>{inner}</code> })}</p>
          </Notice>
        </Section>
        <Section title={t("trust.operator")}>
          <p>{t("trust.operator.lead")}</p>
        </Section>
        <div class="buttons">
          <LinkButton href={home()}>{t("ui.home")}</LinkButton>
        </div>
      </div>
    </>
  );
}

export function NotFound(): JSX.Element {
  return (
    <>
      <PageHead title={t("not_found.title")} />
      <Empty icon="search" title={t("not_found.empty")}>
        <p>{t("not_found.lead")}</p>
        <LinkButton kind="main" href={home()}>
          {t("ui.home")}
        </LinkButton>
      </Empty>
    </>
  );
}
