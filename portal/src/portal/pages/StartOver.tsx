// Password and kit are gone: new keys for the account after a delay. Begins it, and later finishes it.

import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";

import { dateTime, t } from "../../i18n";
import { Button, Choices, Field, focusWrong, go, LinkButton, Notice, PageHead, to, Trouble } from "../../ui";
import { isBackupCode } from "../Confirming";
import { type Chosen, NewPassword, NOT_CHOSEN, wrongWith } from "../NewPassword";
import { enter, vault } from "../state";
import { useWork } from "../work";
import { emailWrong, useKitAsks } from "./Lost";

export function StartOver(): JSX.Element {
  const [what, setWhat] = useState<"begin" | "finish">("begin");
  const [left, setLeft] = useState<"code" | "nothing">("code");
  const [email, setEmail] = useState("");
  const [code, setCode] = useState("");
  const [chosen, setChosen] = useState<Chosen>(NOT_CHOSEN);
  const [wrong, setWrong] = useState<{ email?: string; code?: string; password?: string; again?: string }>({});
  const [waiting, setWaiting] = useState<{ readonly dueAt: number; readonly secondFactor: boolean } | null>(null);
  const [due, setDue] = useState(false);
  const { asks, asking } = useKitAsks(email);
  const work = useWork();
  const form = useRef<HTMLFormElement>(null);
  const back = { href: to("lost", "all"), label: t("lost.all") };
  if (waiting !== null)
    return (
      <>
        <PageHead title={t(what === "begin" ? "reset.begun" : "reset.still")} back={back} />
        <div class="stack">
          <Notice kind="good" live="status">
            <p class="strong">{t("reset.until", { at: dateTime(waiting.dueAt) })}</p>
            <p>{t("reset.until.lead")}</p>
          </Notice>
          <p>{t(waiting.secondFactor ? "renew.again_with_factor" : "renew.new_factor")}</p>
          <p>{t("renew.found")}</p>
          <div class="buttons">
            <LinkButton href={to("sign-in")}>{t("sign_in.title")}</LinkButton>
          </div>
        </div>
      </>
    );
  if (asking !== null) return asking;
  const submit = (): void => {
    const missing: typeof wrong = what === "finish" ? wrongWith(chosen) : {};
    const mail = emailWrong(email);
    if (mail !== undefined) missing.email = mail;
    const typed = code.trim();
    if (left === "code" && !/^\d{6}$/.test(typed) && !isBackupCode(typed)) missing.code = t("renew.code.missing");
    setWrong(missing);
    if (Object.keys(missing).length > 0) {
      focusWrong(form.current);
      return;
    }
    void work.run(async () => {
      const lost = { email: email.trim(), password: what === "finish" ? chosen.password : "", factor: left === "code" ? typed : undefined };
      const told = await vault().startOver(lost, what === "begin", asks);
      setCode("");
      if (told.kind === "waiting") {
        setWaiting(told);
        return;
      }
      if (told.kind === "due") {
        setWhat("finish");
        setDue(true);
        return;
      }
      setChosen(NOT_CHOSEN);
      enter({ email: lost.email, fingerprint: told.fingerprint, knownBefore: true, mustAddFactor: told.mustAddFactor });
      go(to("devices"));
    });
  };
  return (
    <>
      <PageHead title={t("renew.title")} lead={t("renew.lead")} back={back} />
      <form
        class="stack"
        noValidate
        ref={form}
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        {due ? (
          <Notice kind="good" live="status">
            {t("renew.due")}
          </Notice>
        ) : (
          <Notice>{t("renew.kept")}</Notice>
        )}
        <Choices
          legend={t("reset.what")}
          value={what}
          onChange={setWhat}
          options={[
            { value: "begin", label: t("reset.begin"), hint: t("reset.begin.hint") },
            { value: "finish", label: t("reset.finish"), hint: t("renew.finish.hint") },
          ]}
        />
        <Field label={t("email")} type="email" autocomplete="username" value={email} onInput={setEmail} error={wrong.email} />
        <Choices
          legend={t("renew.left")}
          value={left}
          onChange={setLeft}
          options={[
            { value: "code", label: t("renew.left.code"), hint: t("renew.left.code.hint") },
            { value: "nothing", label: t("renew.left.nothing"), hint: t("renew.left.nothing.hint") },
          ]}
        />
        {left === "code" && (
          <Field
            label={t("renew.code")}
            hint={t("renew.code.hint")}
            value={code}
            onInput={setCode}
            error={wrong.code}
            class="code letters"
            exact
            maxLength={20}
          />
        )}
        {what === "finish" && <NewPassword email={email} value={chosen} onInput={setChosen} wrong={wrong} />}
        {work.failure !== null && <Trouble failure={work.failure} what={t("reset.failed")} />}
        <div class="buttons">
          <Button kind="main" type="submit" busy={work.busy}>
            {t(what === "begin" ? "reset.begin" : "reset.finish")}
          </Button>
        </div>
      </form>
    </>
  );
}
