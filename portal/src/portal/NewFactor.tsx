// A new second factor: a passkey, or an authenticator app with two codes in a row.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { t } from "../i18n";
import { Button, CodeField, CopyButton, Field, focusWrong, More, Notice, Qr, type QrMatrix, Trouble } from "../ui";
import { type Question, useAsk } from "./ask";
import { ConfirmForm } from "./Confirming";
import { failureOf, service, useRead, vault } from "./state";
import type { Confirm, ConfirmAsks, NewTotp } from "./vault";
import { useWork } from "./work";

export type FactorKind = "passkey" | "totp";

type Codes = readonly [string, string];

/** A name that no factor has: whoever replaces a lost phone has not removed the old one yet. */
function freeName(usual: string, taken: readonly string[]): string {
  let name = usual;
  for (let n = 2; taken.includes(name); n += 1) name = `${usual} ${n}`;
  return name;
}

/** Adds a factor of one kind, and says when it is done. */
export function NewFactor(props: {
  readonly kind: FactorKind;
  /** Whether it has to be confirmed with a factor that is there already. */
  readonly confirm: boolean;
  /** A password typed a moment ago: with it a new passkey can open the vault, too. */
  readonly password?: string | undefined;
  /** Names of the factors that are there. */
  readonly taken: readonly string[];
  readonly onDone: (kind: FactorKind) => void;
  readonly onCancel: () => void;
}): JSX.Element {
  const { kind } = props;
  const [label, setLabel] = useState(() => freeName(t(kind === "passkey" ? "factor.passkey.label" : "factor.totp.label"), props.taken));
  const [wrongLabel, setWrongLabel] = useState<string>();
  const [question, askCodes] = useAsk<{ totp: NewTotp; wrong: unknown }, Codes | null>(null);
  const work = useWork();
  const add = async (confirm: Confirm | null, asks: ConfirmAsks): Promise<void> => {
    if (kind === "totp") {
      await vault().addTotp(label.trim(), confirm, { ...asks, codes: (totp, wrong) => askCodes({ totp, wrong }) });
    } else {
      const { factorId } = await vault().addPasskey(label.trim(), confirm, asks);
      const password = props.password ?? (confirm?.by === "code" ? confirm.password : confirm?.password);
      if (password !== undefined && password !== "") {
        try {
          await vault().letPasskeyOpenVault(factorId, password);
        } catch (error) {
          // It signs in all the same; only the password will be asked for to open the vault.
          if (failureOf(error).code !== "factor.prf_unavailable") throw error;
        }
      }
    }
    props.onDone(kind);
  };
  const named = (): boolean => {
    const fits = label.trim() !== "" && label.trim().length <= 64;
    setWrongLabel(fits ? undefined : t("factor.label.wrong"));
    return fits;
  };
  const name = (
    <Field
      label={t("factor.label")}
      hint={t("factor.label.hint")}
      value={label}
      onInput={setLabel}
      error={wrongLabel}
      maxLength={64}
    />
  );
  if (question !== null) return <TotpCodes question={question} />;
  if (props.confirm)
    return (
      <ConfirmForm
        action={t(kind === "passkey" ? "factor.passkey.add" : "ui.next")}
        needsVault={false}
        run={add}
        failed={t("factor.not_added")}
        onCancel={props.onCancel}
        check={named}
      >
        {name}
      </ConfirmForm>
    );
  const noAsks: ConfirmAsks = { mailedCode: () => Promise.resolve(null) };
  return (
    <form
      class="stack"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (named()) void work.run(() => add(null, noAsks));
      }}
    >
      {name}
      {work.failure !== null && <Trouble failure={work.failure} what={t("factor.not_added")} />}
      <div class="buttons">
        <Button kind="main" type="submit" icon={kind === "passkey" ? "passkey" : "phone"} busy={work.busy}>
          {t(kind === "passkey" ? "factor.passkey.add" : "factor.totp.show")}
        </Button>
        <Button kind="quiet" off={work.busy} onClick={props.onCancel}>
          {t("ui.cancel")}
        </Button>
      </div>
    </form>
  );
}

/** The QR code of an authenticator, and two codes that it shows one after the other. */
function TotpCodes(props: { readonly question: Question<{ totp: NewTotp; wrong: unknown }, Codes | null> }): JSX.Element {
  const { about, answer } = props.question;
  const [first, setFirst] = useState("");
  const [second, setSecond] = useState("");
  const [wrong, setWrong] = useState<{ first?: string; second?: string }>({});
  const [qr, setQr] = useState<QrMatrix | null>(null);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    vault().qr(about.totp.uri).then(setQr, () => setQr(null));
  }, [about.totp.uri]);
  const submit = (last: string): void => {
    const missing: typeof wrong = {};
    if (first.length !== 6) missing.first = t("confirm.code.missing");
    if (last.length !== 6) missing.second = t("confirm.code.missing");
    else if (last === first) missing.second = t("factor.totp.same");
    setWrong(missing);
    if (Object.keys(missing).length > 0) focusWrong(form.current);
    else answer([first, last]);
  };
  const failure = about.wrong === null || about.wrong === undefined ? null : failureOf(about.wrong);
  return (
    <form
      class="stack"
      noValidate
      ref={form}
      onSubmit={(event) => {
        event.preventDefault();
        submit(second);
      }}
    >
      <p>{t("factor.totp.scan")}</p>
      <Qr matrix={qr} label={t("factor.totp.qr")} />
      <More title={t("factor.totp.by_hand")}>
        <div class="stack-s">
          <p class="mono name">{about.totp.secret.replace(/(.{4})/g, "$1 ").trim()}</p>
          <div class="buttons">
            <CopyButton text={() => about.totp.secret} />
          </div>
          <p>
            <a href={about.totp.uri}>{t("factor.totp.open_app")}</a>
          </p>
        </div>
      </More>
      {failure !== null && <Notice kind="bad" live="alert">{t("factor.totp.wrong")}</Notice>}
      <CodeField label={t("factor.totp.first")} value={first} onInput={setFirst} error={wrong.first} />
      <CodeField
        label={t("factor.totp.second")}
        hint={t("factor.totp.second.hint")}
        value={second}
        onInput={setSecond}
        error={wrong.second}
        onFull={submit}
      />
      <div class="buttons">
        <Button kind="main" type="submit">
          {t("factor.totp.add")}
        </Button>
        <Button kind="quiet" onClick={() => answer(null)}>
          {t("ui.cancel")}
        </Button>
      </div>
    </form>
  );
}

/** Chooses the kind, the passkey first, then adds it. */
export function ChooseFactor(props: {
  readonly confirm: boolean;
  readonly password?: string | undefined;
  /** Names of the factors that are there. */
  readonly taken?: readonly string[];
  readonly onDone: (kind: FactorKind) => void;
  readonly onCancel?: () => void;
}): JSX.Element {
  const [kind, setKind] = useState<FactorKind | null>(null);
  const where = useRead(service);
  if (kind !== null)
    return (
      <NewFactor
        kind={kind}
        confirm={props.confirm}
        password={props.password}
        taken={props.taken ?? []}
        onDone={props.onDone}
        onCancel={() => setKind(null)}
      />
    );
  const passkeys = where.value?.passkeys ?? false;
  return (
    <div class="stack">
      {passkeys ? (
        <div class="stack-s">
          <p>{t("factor.passkey.about")}</p>
          <div class="buttons">
            <Button kind="main" icon="passkey" onClick={() => setKind("passkey")}>
              {t("factor.passkey.choose")}
            </Button>
          </div>
        </div>
      ) : (
        where.value !== null && <Notice>{t("factor.passkey.unavailable")}</Notice>
      )}
      <div class="stack-s">
        <p>{t("factor.totp.about")}</p>
        <div class="buttons">
          <Button kind={passkeys ? "plain" : "main"} icon="phone" onClick={() => setKind("totp")}>
            {t("factor.totp.choose")}
          </Button>
          {props.onCancel !== undefined && (
            <Button kind="quiet" onClick={props.onCancel}>
              {t("ui.cancel")}
            </Button>
          )}
        </div>
      </div>
    </div>
  );
}
