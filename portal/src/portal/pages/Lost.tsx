// Lost something: which way leads back. Every way ends with two-factor on.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { dateTime, t } from "../../i18n";
import {
  Button,
  Choices,
  CodeField,
  Empty,
  Field,
  focusFirst,
  focusWrong,
  LinkButton,
  Notice,
  PageHead,
  PasswordField,
  to,
  Trouble,
} from "../../ui";
import { useAsk } from "../ask";
import { isBackupCode, MailedCode } from "../Confirming";
import { KitSheet } from "../KitSheet";
import { type Chosen, NewPassword, NOT_CHOSEN, wrongWith } from "../NewPassword";
import { enter, failureOf, vault } from "../state";
import type { Kit, KitAsks } from "../vault";
import { useWork } from "../work";
import { Way } from "./Security";

const back = (): { href: string; label: string } => ({ href: to("lost"), label: t("lost.title") });

export function Lost(): JSX.Element {
  return (
    <>
      <PageHead title={t("lost.title")} lead={t("lost.lead")} back={{ href: to("sign-in"), label: t("sign_in.title") }} />
      <ul class="rows">
        <Way href={to("lost", "phone")} title={t("lost.phone")} words={t("lost.phone.line")} />
        <Way href={to("lost", "password")} title={t("lost.password")} words={t("lost.password.line")} />
        <Way href={to("lost", "both")} title={t("lost.both")} words={t("lost.both.line")} />
        <Way href={to("lost", "all")} title={t("lost.all")} words={t("lost.all.line")} />
        <Way href={to("cancel")} title={t("cancel.title")} words={t("cancel.line")} />
      </ul>
    </>
  );
}

/** The phone is gone: other factors first, the delay last. */
export function LostPhone(): JSX.Element {
  return (
    <>
      <PageHead title={t("lost.phone")} lead={t("lost.phone.lead")} back={back()} />
      <ol class="stack plain">
        <li class="card">
          <h2>{t("lost.phone.other")}</h2>
          <p>{t("lost.phone.other.lead")}</p>
          <div class="buttons">
            <LinkButton kind="main" href={to("sign-in")}>
              {t("sign_in.action")}
            </LinkButton>
          </div>
        </li>
        <li class="card">
          <h2>{t("lost.phone.backup")}</h2>
          <p>{t("lost.phone.backup.lead")}</p>
          <div class="buttons">
            <LinkButton href={to("sign-in")}>{t("lost.phone.backup.action")}</LinkButton>
          </div>
        </li>
        <li class="card">
          <h2>{t("lost.phone.reset.step")}</h2>
          <p>{t("lost.phone.reset.lead")}</p>
          <div class="buttons">
            <LinkButton href={to("lost", "reset")}>{t("lost.phone.reset.action")}</LinkButton>
          </div>
        </li>
      </ol>
    </>
  );
}

/** Nothing opens the vault any more. */
export function LostAll(): JSX.Element {
  return (
    <>
      <PageHead title={t("lost.all")} lead={t("lost.all.lead")} back={back()} />
      <div class="stack">
        <Notice>{t("lost.all.kept")}</Notice>
        <ul>
          <li>{t("lost.all.1")}</li>
          <li>{t("lost.all.2")}</li>
          <li>{t("lost.all.3")}</li>
        </ul>
        <div class="buttons">
          <LinkButton href={to("lost", "new-keys")}>{t("renew.title")}</LinkButton>
        </div>
      </div>
    </>
  );
}

export function emailWrong(email: string): string | undefined {
  return /^\S+@\S+$/.test(email.trim()) ? undefined : t("email.wrong");
}

/** What both ways ask in between. */
export function useKitAsks(email: string): { asks: KitAsks; asking: JSX.Element | null } {
  const [mailed, askMailed] = useAsk<null, string | null>(null);
  const [kit, askKit] = useAsk<Kit, boolean>(false);
  const stage = mailed !== null ? "mail" : kit !== null ? "kit" : "";
  useEffect(() => {
    scrollTo(0, 0);
    focusFirst(document);
  }, [stage]);
  const asking =
    mailed !== null ? (
      <>
        <PageHead title={t("sign_up.mail")} />
        <MailedCode email={email.trim()} onCode={mailed.answer} onCancel={() => mailed.answer(null)} />
      </>
    ) : kit !== null ? (
      <>
        <PageHead title={t("lost.new_kit")} lead={t("lost.new_kit.lead")} />
        <KitSheet kit={kit.about} onKept={() => kit.answer(true)} onCancel={() => kit.answer(false)} />
      </>
    ) : null;
  return { asks: { mailedCode: () => askMailed(null), keepKit: askKit }, asking };
}

/** The password is lost: kit, second factor, new password, new kit. */
export function LostPassword(): JSX.Element {
  const [email, setEmail] = useState("");
  const [kitCode, setKitCode] = useState("");
  const [chosen, setChosen] = useState<Chosen>(NOT_CHOSEN);
  const [wrong, setWrong] = useState<{ email?: string; kit?: string; password?: string; again?: string }>({});
  const [done, setDone] = useState(false);
  const [factor, askFactor] = useAsk<unknown, string | null>(null);
  const { asks, asking } = useKitAsks(email);
  const work = useWork();
  const form = useRef<HTMLFormElement>(null);
  if (done)
    return (
      <>
        <PageHead title={t("lost.password.done")} />
        <Empty icon="shieldCheck" title={t("lost.password.done.title")}>
          <p>{t("lost.password.done.lead")}</p>
          <LinkButton kind="main" href={to("sign-in")}>
            {t("sign_in.action")}
          </LinkButton>
        </Empty>
      </>
    );
  if (asking !== null) return asking;
  if (factor !== null) return <FactorCode wrong={factor.about} onGiven={factor.answer} />;
  return (
    <>
      <PageHead title={t("lost.password")} lead={t("lost.password.lead")} back={back()} />
      <form
        class="stack"
        noValidate
        ref={form}
        onSubmit={(event) => {
          event.preventDefault();
          const missing: typeof wrong = wrongWith(chosen);
          const mail = emailWrong(email);
          if (mail !== undefined) missing.email = mail;
          if (kitCode.trim() === "") missing.kit = t("kit.code.missing");
          setWrong(missing);
          if (Object.keys(missing).length > 0) {
            focusWrong(form.current);
            return;
          }
          void work.run(async () => {
            await vault().recoverPassword(
              { email: email.trim(), kitCode: kitCode.trim(), password: chosen.password },
              { ...asks, factor: askFactor },
            );
            setDone(true);
          });
        }}
      >
        <Field label={t("email")} type="email" autocomplete="username" value={email} onInput={setEmail} error={wrong.email} />
        <Field
          label={t("kit.code")}
          hint={t("kit.code.hint")}
          value={kitCode}
          onInput={setKitCode}
          error={wrong.kit}
          class="code letters"
          exact
          maxLength={64}
        />
        <NewPassword email={email} value={chosen} onInput={setChosen} wrong={wrong} />
        <p class="soft small">{t("lost.password.next")}</p>
        {work.failure !== null && <Trouble failure={work.failure} what={t("lost.password.failed")} />}
        <div class="buttons">
          <Button kind="main" type="submit" busy={work.busy}>
            {t("ui.next")}
          </Button>
        </div>
      </form>
    </>
  );
}

function FactorCode(props: { readonly wrong: unknown; readonly onGiven: (code: string | null) => void }): JSX.Element {
  const [backup, setBackup] = useState(false);
  const [code, setCode] = useState("");
  const [wrong, setWrong] = useState<string>();
  useEffect(() => focusFirst(document), [props.wrong]);
  const failure = props.wrong === null || props.wrong === undefined ? null : failureOf(props.wrong);
  const give = (typed: string): void => {
    if (backup ? isBackupCode(typed) : /^\d{6}$/.test(typed)) props.onGiven(typed);
    else setWrong(t(backup ? "confirm.backup.missing" : "confirm.code.missing"));
  };
  return (
    <>
      <PageHead title={t("sign_in.second")} lead={t("lost.factor.lead")} />
      <form
        class="stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          give(code);
        }}
      >
        {failure !== null && <Trouble failure={failure} />}
        {backup ? (
          <Field label={t("confirm.backup")} value={code} onInput={setCode} error={wrong} class="code letters" exact autofocus />
        ) : (
          <CodeField label={t("confirm.code")} value={code} onInput={setCode} error={wrong} onFull={give} autofocus />
        )}
        <div class="buttons">
          <Button kind="main" type="submit">
            {t("ui.next")}
          </Button>
          <Button kind="quiet" onClick={() => props.onGiven(null)}>
            {t("ui.cancel")}
          </Button>
        </div>
        <div>
          <button
            type="button"
            class="text-button"
            onClick={() => {
              setBackup(!backup);
              setCode("");
            }}
          >
            {t(backup ? "confirm.use_totp" : "confirm.use_backup")}
          </button>
        </div>
      </form>
    </>
  );
}

/** All second factors are lost: the delayed reset, by password or by kit. Begins it, and later finishes it. */
export function Reset(props: { readonly with: "password" | "kit" }): JSX.Element {
  const isKit = props.with === "kit";
  const [what, setWhat] = useState<"begin" | "finish">("begin");
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [kitCode, setKitCode] = useState("");
  const [chosen, setChosen] = useState<Chosen>(NOT_CHOSEN);
  const [wrong, setWrong] = useState<{ email?: string; kit?: string; password?: string; again?: string }>({});
  const [until, setUntil] = useState<number | null>(null);
  const { asks, asking } = useKitAsks(email);
  const work = useWork();
  const form = useRef<HTMLFormElement>(null);
  if (until !== null)
    return (
      <>
        <PageHead title={t(what === "begin" ? "reset.begun" : "reset.still")} back={back()} />
        <div class="stack">
          <Notice kind="good" live="status">
            <p class="strong">{t("reset.until", { at: dateTime(until) })}</p>
            <p>{t("reset.until.lead")}</p>
          </Notice>
          <p>{t("reset.found")}</p>
          <div class="buttons">
            <LinkButton href={to("sign-in")}>{t("sign_in.title")}</LinkButton>
          </div>
        </div>
      </>
    );
  if (asking !== null) return asking;
  return (
    <>
      <PageHead
        title={t(isKit ? "lost.both" : "lost.phone.reset")}
        lead={t(isKit ? "reset.kit.lead" : "reset.lead")}
        back={back()}
      />
      <form
        class="stack"
        noValidate
        ref={form}
        onSubmit={(event) => {
          event.preventDefault();
          const missing: typeof wrong = isKit ? wrongWith(chosen) : {};
          const mail = emailWrong(email);
          if (mail !== undefined) missing.email = mail;
          if (isKit && kitCode.trim() === "") missing.kit = t("kit.code.missing");
          if (!isKit && password === "") missing.password = t("confirm.password.missing");
          setWrong(missing);
          if (Object.keys(missing).length > 0) {
            focusWrong(form.current);
            return;
          }
          void work.run(async () => {
            const waits = await vault().resetFactors(
              email.trim(),
              isKit
                ? { with: "kit", kitCode: kitCode.trim(), password: chosen.password }
                : { with: "password", password },
              what === "begin",
              asks,
            );
            if (waits !== null) {
              setUntil(waits);
              return;
            }
            enter({ email: email.trim(), fingerprint: "", knownBefore: true, mustAddFactor: true });
          });
        }}
      >
        <Choices
          legend={t("reset.what")}
          value={what}
          onChange={setWhat}
          options={[
            { value: "begin", label: t("reset.begin"), hint: t("reset.begin.hint") },
            { value: "finish", label: t("reset.finish"), hint: t("reset.finish.hint") },
          ]}
        />
        <Field label={t("email")} type="email" autocomplete="username" value={email} onInput={setEmail} error={wrong.email} />
        {isKit ? (
          <>
            <Field
              label={t("kit.code")}
              hint={t("kit.code.hint")}
              value={kitCode}
              onInput={setKitCode}
              error={wrong.kit}
              class="code letters"
              exact
              maxLength={64}
            />
            <NewPassword email={email} value={chosen} onInput={setChosen} wrong={wrong} />
          </>
        ) : (
          <PasswordField
            label={t("password")}
            use="current"
            value={password}
            onInput={setPassword}
            error={wrong.password}
          />
        )}
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

/** Cancels a change with the code of the mail that told of it; nobody has to be signed in. */
export function CancelByMail(): JSX.Element {
  const [code, setCode] = useState("");
  const [wrong, setWrong] = useState<string>();
  const [done, setDone] = useState(false);
  const work = useWork();
  if (done)
    return (
      <>
        <PageHead title={t("cancel.done")} />
        <div class="stack">
          <Notice kind="good" live="status">
            {t("cancel.done.lead")}
          </Notice>
          <div class="buttons">
            <LinkButton kind="main" href={to("sign-in")}>
              {t("sign_in.action")}
            </LinkButton>
          </div>
        </div>
      </>
    );
  return (
    <>
      <PageHead title={t("cancel.title")} lead={t("cancel.lead")} />
      <form
        class="stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          setWrong(code.trim() === "" ? t("cancel.missing") : undefined);
          if (code.trim() !== "")
            void work.run(async () => {
              await vault().cancelWaitWithCode(code.trim());
              setDone(true);
            });
        }}
      >
        <Field
          label={t("cancel.code")}
          hint={t("cancel.code.hint")}
          value={code}
          onInput={setCode}
          error={wrong}
          class="mono"
          exact
        />
        {work.failure !== null && <Trouble failure={work.failure} what={t("cancel.failed")} />}
        <div class="buttons">
          <Button kind="main" type="submit" busy={work.busy}>
            {t("waits.cancel")}
          </Button>
        </div>
      </form>
    </>
  );
}
