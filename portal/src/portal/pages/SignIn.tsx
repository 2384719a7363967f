// Sign-in: a passkey alone, or password and second factor.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { t } from "../../i18n";
import { Button, CodeField, Field, focusFirst, focusWrong, Notice, PageHead, PasswordField, to, Trouble } from "../../ui";
import { useAsk } from "../ask";
import { isBackupCode } from "../Confirming";
import { ended, enter, service, session, useRead, vault } from "../state";
import type { GivenFactor } from "../vault";
import { useWork } from "../work";

export function SignIn(): JSX.Element {
  const where = useRead(service);
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [wrong, setWrong] = useState<{ email?: string; password?: string }>({});
  const [factor, askFactor] = useAsk<readonly string[], GivenFactor | null>(null);
  const [unlock, askPassword] = useAsk<string, string | null>(null);
  const [newKeys, askNewKeys] = useAsk<string, boolean>(false);
  const [which, setWhich] = useState<"passkey" | "password" | null>(null);
  const [tries, setTries] = useState(0);
  const work = useWork();
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    vault()
      .known()
      .then((known) => setEmail((typed) => (typed === "" ? (known?.email ?? "") : typed)), () => undefined);
  }, []);

  const byPasskey = async (): Promise<void> => {
    setWhich("passkey");
    await work.run(async () => enter(await vault().signInWithPasskey({ password: askPassword, newKeys: askNewKeys })));
  };
  const byPassword = async (): Promise<void> => {
    const missing: typeof wrong = {};
    if (!/^\S+@\S+$/.test(email.trim())) missing.email = t("email.wrong");
    if (password === "") missing.password = t("confirm.password.missing");
    setWrong(missing);
    if (Object.keys(missing).length > 0) {
      focusWrong(form.current);
      return;
    }
    setWhich("password");
    await work.run(async () => {
      setTries((before) => before + 1);
      enter(await vault().signIn(email.trim(), password, { factor: askFactor, newKeys: askNewKeys }));
    });
  };

  if (factor !== null) return <SecondFactor kinds={factor.about} onGiven={factor.answer} />;
  if (newKeys !== null) return <NewKeys fingerprint={newKeys.about} onGiven={newKeys.answer} />;
  if (unlock !== null) return <UnlockTitles email={unlock.about} onGiven={unlock.answer} />;
  const passkeys = where.value?.passkeys ?? false;
  return (
    <>
      <PageHead title={t("sign_in.title")} />
      <div class="stack-l">
        {ended.value === "expired" && (
          <Notice kind="warn" live="status">
            {t("sign_in.expired")}
          </Notice>
        )}
        {passkeys && (
          <div class="stack">
            <Button
              kind="main"
              wide
              icon="passkey"
              busy={work.busy && which === "passkey"}
              off={work.busy}
              onClick={() => void byPasskey()}
            >
              {t("sign_in.passkey")}
            </Button>
            {work.failure !== null && which === "passkey" && <Trouble failure={work.failure} what={t("sign_in.failed")} />}
            <div class="or">
              <span>{t("ui.or")}</span>
            </div>
          </div>
        )}
        <form
          class="stack"
          noValidate
          ref={form}
          onSubmit={(event) => {
            event.preventDefault();
            void byPassword();
          }}
        >
          <Field
            label={t("email")}
            type="email"
            name="email"
            autocomplete="username"
            value={email}
            onInput={setEmail}
            error={wrong.email}
          />
          <PasswordField
            label={t("password")}
            use="current"
            value={password}
            onInput={setPassword}
            error={wrong.password}
          />
          {work.failure !== null && which === "password" && (
            <Trouble failure={work.failure} what={t("sign_in.failed")}>
              {tries >= 2 && (
                <p>
                  <a href={to("lost")}>{t("sign_in.lost")}</a>
                </p>
              )}
            </Trouble>
          )}
          <Button
            kind={passkeys ? "plain" : "main"}
            wide
            type="submit"
            busy={work.busy && which === "password"}
            off={work.busy}
          >
            {t("sign_in.password")}
          </Button>
        </form>
        <div class="stack-s">
          <a href={to("lost")}>{t("sign_in.lost")}</a>
          <a href={to("sign-up")}>{t("sign_in.no_account")}</a>
        </div>
      </div>
    </>
  );
}

/** Second step: a code, a backup code or a passkey. */
function SecondFactor(props: {
  readonly kinds: readonly string[];
  readonly onGiven: (given: GivenFactor | null) => void;
}): JSX.Element {
  const { onGiven } = props;
  const where = useRead(service);
  const kinds = props.kinds.filter((kind) => kind !== "passkey" || where.value?.passkeys !== false);
  const takesCode = kinds.includes("totp") || kinds.includes("backup-code") || kinds.includes("mail");
  const [backup, setBackup] = useState(!kinds.includes("totp") && !kinds.includes("mail"));
  const [code, setCode] = useState("");
  const [wrong, setWrong] = useState<string>();
  const form = useRef<HTMLFormElement>(null);
  const give = (typed: string): void => {
    if (backup ? isBackupCode(typed) : /^\d{6}$/.test(typed)) {
      onGiven({ by: "code", code: typed });
      return;
    }
    setWrong(t(backup ? "confirm.backup.missing" : "confirm.code.missing"));
    focusWrong(form.current);
  };
  return (
    <>
      <PageHead title={t("sign_in.second")} lead={t("sign_in.second.lead")} />
      <div class="stack">
        {kinds.length === 0 && <Notice kind="warn">{t("confirm.no_way")}</Notice>}
        {kinds.includes("passkey") && (
          <Button kind={takesCode ? "plain" : "main"} wide icon="passkey" onClick={() => onGiven({ by: "passkey" })}>
            {t("confirm.use_passkey")}
          </Button>
        )}
        {takesCode && (
          <form
            class="stack"
            noValidate
            ref={form}
            onSubmit={(event) => {
              event.preventDefault();
              give(code);
            }}
          >
            {backup ? (
              <Field
                label={t("confirm.backup")}
                hint={t("sign_in.backup.hint")}
                value={code}
                onInput={setCode}
                error={wrong}
                class="code letters"
                exact
                maxLength={20}
                autofocus
              />
            ) : (
              <CodeField
                label={t("confirm.code")}
                hint={t("confirm.code.hint")}
                value={code}
                onInput={setCode}
                error={wrong}
                onFull={give}
                autofocus
              />
            )}
            <Button kind="main" wide type="submit">
              {t("sign_in.action")}
            </Button>
            <div>
              <button
                type="button"
                class="text-button"
                onClick={() => {
                  setBackup(!backup);
                  setCode("");
                  setWrong(undefined);
                }}
              >
                {t(backup ? "confirm.use_totp" : "confirm.use_backup")}
              </button>
            </div>
          </form>
        )}
        <div class="stack-s">
          <a href={to("lost", "phone")}>{t("lost.phone")}</a>
          <div>
            <button type="button" class="text-button" onClick={() => onGiven(null)}>
              {t("ui.cancel")}
            </button>
          </div>
        </div>
      </div>
    </>
  );
}

/** A passkey that signs in and opens nothing: the password opens the titles. */
function UnlockTitles(props: { readonly email: string; readonly onGiven: (password: string | null) => void }): JSX.Element {
  const [password, setPassword] = useState("");
  return (
    <>
      <PageHead title={t("sign_in.unlock")} lead={t("sign_in.unlock.lead")} />
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (password !== "") props.onGiven(password);
        }}
      >
        <Field label={t("email")} type="email" autocomplete="username" value={props.email} onInput={() => undefined} readOnly />
        <PasswordField label={t("password")} use="current" value={password} onInput={setPassword} autofocus />
        <div class="buttons">
          <Button kind="main" type="submit">
            {t("sign_in.action")}
          </Button>
          <Button kind="quiet" onClick={() => props.onGiven(null)}>
            {t("ui.cancel")}
          </Button>
        </div>
      </form>
    </>
  );
}

/** The account began again, or somebody shows other keys: only the new kit tells. */
function NewKeys(props: { readonly fingerprint: string; readonly onGiven: (same: boolean) => void }): JSX.Element {
  useEffect(() => focusFirst(document), []);
  return (
    <>
      <PageHead title={t("new_keys.title")} />
      <div class="stack">
        <Notice kind="warn">
          <p>{t("new_keys.lead")}</p>
          <p>
            <code>{props.fingerprint}</code>
          </p>
        </Notice>
        <div class="buttons">
          <Button onClick={() => props.onGiven(true)}>{t("new_keys.same")}</Button>
          <Button kind="main" onClick={() => props.onGiven(false)}>
            {t("new_keys.other")}
          </Button>
        </div>
      </div>
    </>
  );
}

/** Shown once after a sign-in on a browser that did not know the account: the fingerprint to compare. */
export function FirstTimeHere(): JSX.Element | null {
  const now = session.value;
  if (now === null || now.knownBefore) return null;
  return (
    <Notice>
      <p>{t("sign_in.first_time")}</p>
      <p>
        <code>{now.fingerprint}</code>
      </p>
      <div>
        <Button
          onClick={() => {
            session.value = { ...now, knownBefore: true };
          }}
        >
          {t("sign_in.first_time.same")}
        </Button>
      </div>
    </Notice>
  );
}
