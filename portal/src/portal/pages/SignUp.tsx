// A new account: e-mail and password, the kit, the second factor, backup codes.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { t } from "../../i18n";
import { Button, Empty, Field, focusFirst, focusWrong, LinkButton, PageHead, Steps, to, Trouble } from "../../ui";
import { useAsk } from "../ask";
import { BackupCodes } from "../BackupCodes";
import { ConfirmForm, MailedCode } from "../Confirming";
import { KitSheet } from "../KitSheet";
import { ChooseFactor } from "../NewFactor";
import { type Chosen, NewPassword, NOT_CHOSEN, wrongWith } from "../NewPassword";
import { enter, factors, vault } from "../state";
import type { Kit } from "../vault";
import { useWork } from "../work";

type Step = "account" | "factor" | "codes" | "done";

export function SignUp(): JSX.Element {
  const [step, setStep] = useState<Step>("account");
  const [email, setEmail] = useState("");
  const [chosen, setChosen] = useState<Chosen>(NOT_CHOSEN);
  const [mailed, askMailed] = useAsk<null, string | null>(null);
  const [kit, askKit] = useAsk<Kit, boolean>(false);
  const [codes, askCodes] = useAsk<readonly string[], boolean>(false);
  const names = [t("sign_up.step.account"), t("sign_up.step.kit"), t("sign_up.step.factor"), t("sign_up.step.codes")];
  const at = kit !== null ? 1 : { account: 0, factor: 2, codes: 3, done: 4 }[step];
  const stage = `${step}-${String(mailed !== null)}-${String(kit !== null)}-${String(codes !== null)}`;
  useEffect(() => {
    scrollTo(0, 0);
    focusFirst(document);
  }, [stage]);

  const steps = <Steps names={names} at={at} label={t("sign_up.steps")} />;
  if (mailed !== null)
    return (
      <>
        <PageHead title={t("sign_up.mail")} />
        <div class="stack">
          {steps}
          <MailedCode email={email.trim()} onCode={mailed.answer} onCancel={() => mailed.answer(null)} />
        </div>
      </>
    );
  if (kit !== null)
    return (
      <>
        <PageHead title={t("sign_up.kit")} lead={t("sign_up.kit.lead")} />
        <div class="stack-l">
          {steps}
          <KitSheet kit={kit.about} onKept={() => kit.answer(true)} onCancel={() => kit.answer(false)} />
        </div>
      </>
    );
  if (step === "factor")
    return (
      <>
        <PageHead title={t("sign_up.factor")} lead={t("sign_up.factor.lead")} />
        <div class="stack-l">
          {steps}
          <ChooseFactor
            confirm={false}
            password={chosen.password}
            onDone={() => {
              factors.forget();
              setStep("codes");
            }}
          />
        </div>
      </>
    );
  if (step === "codes" && codes !== null)
    return (
      <>
        <PageHead title={t("codes.title")} lead={t("codes.lead")} />
        <div class="stack-l">
          {steps}
          <BackupCodes
            codes={codes.about}
            email={email.trim()}
            onKept={() => codes.answer(true)}
            onCancel={() => codes.answer(false)}
          />
        </div>
      </>
    );
  if (step === "codes")
    return (
      <>
        <PageHead title={t("codes.title")} lead={t("sign_up.codes.lead")} />
        <div class="stack-l">
          {steps}
          <ConfirmForm
            action={t("codes.make")}
            needsVault={false}
            password={chosen.password}
            failed={t("codes.not_made")}
            run={async (confirm, asks) => {
              await vault().makeBackupCodes(confirm, { ...asks, keep: askCodes });
              setStep("done");
            }}
          />
          <div>
            <button type="button" class="text-button" onClick={() => setStep("done")}>
              {t("sign_up.codes.later")}
            </button>
          </div>
        </div>
      </>
    );
  if (step === "done") return <Done email={email.trim()} />;
  return (
    <>
      <PageHead title={t("sign_up.title")} lead={t("sign_up.lead")} />
      <div class="stack-l">
        {steps}
        <AccountStep
          email={email}
          onEmail={setEmail}
          chosen={chosen}
          onChosen={setChosen}
          sign={async (invite) => {
            await vault().signUp(
              { email: email.trim(), password: chosen.password, invite },
              { mailedCode: () => askMailed(null), keepKit: askKit },
            );
            setStep("factor");
          }}
        />
        <a href={to("sign-in")}>{t("sign_up.have_one")}</a>
      </div>
    </>
  );
}

function AccountStep(props: {
  readonly email: string;
  readonly onEmail: (email: string) => void;
  readonly chosen: Chosen;
  readonly onChosen: (chosen: Chosen) => void;
  readonly sign: (invite: string | undefined) => Promise<void>;
}): JSX.Element {
  const { email, chosen } = props;
  const [invite, setInvite] = useState("");
  const [wrong, setWrong] = useState<{ email?: string; password?: string; again?: string }>({});
  const work = useWork();
  const form = useRef<HTMLFormElement>(null);
  return (
    <form
      class="stack"
      noValidate
      ref={form}
      onSubmit={(event) => {
        event.preventDefault();
        const missing: typeof wrong = wrongWith(chosen);
        if (!/^\S+@\S+$/.test(email.trim())) missing.email = t("email.wrong");
        setWrong(missing);
        if (Object.keys(missing).length > 0) focusWrong(form.current);
        else void work.run(() => props.sign(invite.trim() === "" ? undefined : invite.trim()));
      }}
    >
      <Field
        label={t("email")}
        type="email"
        name="email"
        autocomplete="username"
        value={email}
        onInput={props.onEmail}
        error={wrong.email}
      />
      <NewPassword email={email} value={chosen} onInput={props.onChosen} wrong={wrong} label={t("password")} />
      <Field label={t("sign_up.invite")} hint={t("sign_up.invite.hint")} value={invite} onInput={setInvite} exact />
      {work.failure !== null && <Trouble failure={work.failure} what={t("sign_up.failed")} />}
      <Button kind="main" wide type="submit" busy={work.busy}>
        {t("ui.next")}
      </Button>
    </form>
  );
}

function Done(props: { readonly email: string }): JSX.Element {
  const [fingerprint, setFingerprint] = useState("");
  useEffect(() => {
    vault()
      .account()
      .then(
        (account) => {
          setFingerprint(account.fingerprint);
        },
        () => undefined,
      );
  }, []);
  const into = (): void =>
    enter({ email: props.email, fingerprint, knownBefore: true, mustAddFactor: false });
  return (
    <>
      <PageHead title={t("sign_up.done")} />
      <Empty icon="shieldCheck" title={t("sign_up.done.title")}>
        <p>{t("sign_up.done.lead")}</p>
        <div class="buttons" onClick={into}>
          <LinkButton kind="main" icon="save" href={to("save")}>
            {t("sign_up.done.save")}
          </LinkButton>
          <LinkButton icon="device" href={to("devices", "add")}>
            {t("sign_up.done.device")}
          </LinkButton>
        </div>
      </Empty>
    </>
  );
}
