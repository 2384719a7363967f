// "Confirm that it is you": the step before everything that shows a key or changes the account's protection.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { t } from "../i18n";
import { Button, CodeField, Dialog, Field, focusWrong, Notice, PasswordField, Trouble, Waiting } from "../ui";
import { useAsk } from "./ask";
import { factors, service, session, useRead } from "./state";
import type { Confirm, ConfirmAsks, FactorList, Service } from "./vault";
import { useWork } from "./work";

type Way = "passkey" | "passkey-password" | "code" | "mail";

/** The ways that this account has on this device, best first. */
function waysOf(list: FactorList, where: Service, needsVault: boolean): Way[] {
  const passkeys = list.factors.filter((factor) => factor.kind === "passkey");
  const ways: Way[] = [];
  if (where.passkeys && passkeys.length > 0) {
    if (!needsVault || passkeys.some((passkey) => passkey.opensVault)) ways.push("passkey");
    else ways.push("passkey-password");
  }
  if (list.factors.some((factor) => factor.kind === "totp") || list.backupCodesLeft > 0) ways.push("code");
  if (list.factors.length === 0) ways.push("mail");
  return ways;
}

export interface ConfirmFormProps {
  /** Words of the button: what happens once it is confirmed. */
  readonly action: string;
  readonly kind?: "main" | "danger-main";
  /** Whether the act opens the vault, so that a passkey that cannot do that needs the password. */
  readonly needsVault?: boolean;
  /** Does it. An error is shown here, and it can be tried again. */
  readonly run: (confirm: Confirm, asks: ConfirmAsks) => Promise<void>;
  /** What was not done, when it fails. */
  readonly failed?: string;
  /** A password that the person typed a moment ago. */
  readonly password?: string;
  readonly onCancel?: () => void;
  /** Fields that belong to the act; they stand above the confirmation. */
  readonly children?: ComponentChildren;
  /** Whether those fields are as they should be; otherwise nothing is tried. */
  readonly check?: () => boolean;
  readonly autofocus?: boolean;
  readonly onBusy?: (busy: boolean) => void;
}

export function ConfirmForm(props: ConfirmFormProps): JSX.Element {
  const list = useRead(factors);
  const where = useRead(service);
  if (list.failure !== null) return <Trouble failure={list.failure} onRetry={list.again} />;
  if (where.failure !== null) return <Trouble failure={where.failure} onRetry={where.again} />;
  if (list.value === null || where.value === null) return <Waiting />;
  return <Ready {...props} ways={waysOf(list.value, where.value, props.needsVault ?? true)} />;
}

function Ready(props: ConfirmFormProps & { readonly ways: readonly Way[] }): JSX.Element {
  const { ways, needsVault = true } = props;
  const [way, setWay] = useState<Way>(ways[0] ?? "code");
  const [password, setPassword] = useState(props.password ?? "");
  const [code, setCode] = useState("");
  const [backup, setBackup] = useState(false);
  const [wrong, setWrong] = useState<{ password?: string; code?: string }>({});
  const [mailed, askMailed] = useAsk<null, string | null>(null);
  const work = useWork();
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => props.onBusy?.(work.busy), [work.busy]);

  if (mailed !== null) return <MailedCode onCode={mailed.answer} onCancel={() => mailed.answer(null)} />;

  const asksPassword = way !== "passkey" && (needsVault || way === "code" || way === "mail") && props.password === undefined;
  const submit = async (typed: string): Promise<void> => {
    const missing: typeof wrong = {};
    if (asksPassword && password === "") missing.password = t("confirm.password.missing");
    if (way === "code" && !(backup ? isBackupCode(typed) : /^\d{6}$/.test(typed)))
      missing.code = t(backup ? "confirm.backup.missing" : "confirm.code.missing");
    setWrong(missing);
    const fits = props.check?.() ?? true;
    if (!fits || Object.keys(missing).length > 0) {
      focusWrong(form.current);
      return;
    }
    const confirm: Confirm =
      way === "passkey"
        ? { by: "passkey" }
        : way === "passkey-password"
          ? { by: "passkey", password }
          : { by: "code", password, code: way === "mail" ? "" : typed };
    const done = await work.run(() => props.run(confirm, { mailedCode: () => askMailed(null) }));
    // A code is good once, whether it was right or not.
    setCode("");
    if (done) setPassword("");
  };
  const others = ways.filter((other) => other !== way);
  return (
    <form
      class="stack"
      noValidate
      ref={form}
      onSubmit={(event) => {
        event.preventDefault();
        void submit(code);
      }}
    >
      {props.children}
      {ways.length === 0 && <Notice kind="warn">{t("confirm.no_way")}</Notice>}
      {asksPassword && (
        // Whose password it is, for those who keep passwords.
        <input type="text" hidden readOnly autocomplete="username" value={session.value?.email ?? ""} />
      )}
      {asksPassword && (
        <PasswordField
          label={t("confirm.password")}
          use="current"
          value={password}
          onInput={setPassword}
          error={wrong.password}
          autofocus={props.autofocus ?? false}
        />
      )}
      {way === "code" &&
        (backup ? (
          <Field
            label={t("confirm.backup")}
            hint={t("confirm.backup.hint")}
            value={code}
            onInput={setCode}
            error={wrong.code}
            class="code letters"
            exact
            maxLength={20}
          />
        ) : (
          <CodeField
            label={t("confirm.code")}
            hint={t("confirm.code.hint")}
            value={code}
            onInput={setCode}
            error={wrong.code}
            onFull={(full) => {
              if (!asksPassword || password !== "") void submit(full);
            }}
            autofocus={(props.autofocus ?? false) && !asksPassword}
          />
        ))}
      {way === "passkey-password" && <p class="soft small">{t("confirm.passkey_password.hint")}</p>}
      {way === "mail" && <p class="soft small">{t("confirm.mail.hint")}</p>}
      {work.failure !== null && <Trouble failure={work.failure} what={props.failed} />}
      <div class="buttons">
        <Button
          kind={props.kind ?? "main"}
          type="submit"
          icon={way.startsWith("passkey") ? "passkey" : "check"}
          busy={work.busy}
          off={ways.length === 0}
          autofocus={(props.autofocus ?? false) && way === "passkey"}
        >
          {props.action}
        </Button>
        {props.onCancel !== undefined && (
          <Button kind="quiet" off={work.busy} onClick={props.onCancel}>
            {t("ui.cancel")}
          </Button>
        )}
      </div>
      {!work.busy && (others.length > 0 || way === "code") && (
        <div class="stack-s">
          {others.map((other) => (
            <div key={other}>
              <button type="button" class="text-button" onClick={() => setWay(other)}>
                {t(other === "code" ? "confirm.use_code" : "confirm.use_passkey")}
              </button>
            </div>
          ))}
          {way === "code" && (
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
          )}
        </div>
      )}
    </form>
  );
}

/** Twelve letters, however they are grouped. */
export function isBackupCode(text: string): boolean {
  return text.replace(/[\s-]/g, "").length === 12;
}

/** Asks for the code of a mail that was just sent. */
export function MailedCode(props: {
  readonly onCode: (code: string) => void;
  readonly onCancel: () => void;
  readonly email?: string;
}): JSX.Element {
  const [code, setCode] = useState("");
  const [wrong, setWrong] = useState<string>();
  return (
    <form
      class="stack"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (code.length === 6) props.onCode(code);
        else setWrong(t("mail.code.missing"));
      }}
    >
      <p>{props.email === undefined ? t("mail.sent") : t("mail.sent_to", { email: props.email })}</p>
      <CodeField
        label={t("mail.code")}
        hint={t("mail.code.hint")}
        value={code}
        onInput={setCode}
        error={wrong}
        onFull={props.onCode}
        autofocus
      />
      <div class="buttons">
        <Button kind="main" type="submit">
          {t("ui.next")}
        </Button>
        <Button kind="quiet" onClick={props.onCancel}>
          {t("ui.cancel")}
        </Button>
      </div>
    </form>
  );
}

/** The confirmation in a dialog. */
export function ConfirmDialog(
  props: Omit<ConfirmFormProps, "onCancel" | "children"> & {
    readonly title: string;
    readonly lead?: ComponentChildren;
    readonly children?: ComponentChildren;
    readonly onClose: () => void;
  },
): JSX.Element {
  const [busy, setBusy] = useState(false);
  return (
    <Dialog title={props.title} onClose={props.onClose} busy={busy}>
      {props.lead !== undefined && <div class="stack-s">{props.lead}</div>}
      <ConfirmForm
        {...props}
        autofocus
        onBusy={setBusy}
        onCancel={props.onClose}
        run={async (confirm, asks) => {
          await props.run(confirm, asks);
          props.onClose();
        }}
      />
    </Dialog>
  );
}
