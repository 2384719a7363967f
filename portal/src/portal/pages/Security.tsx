// Security & privacy: second factors, backup codes, kit, password, session; under "More security options" the rest.

import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";

import { dateTime, rich, t } from "../../i18n";
import {
  Button,
  Dialog,
  Facts,
  Icon,
  LinkButton,
  More,
  Notice,
  PageHead,
  Section,
  Tag,
  to,
  Trouble,
  Waiting,
  When,
  go,
} from "../../ui";
import { useAsk } from "../ask";
import { BackupCodes } from "../BackupCodes";
import { ConfirmDialog, ConfirmForm } from "../Confirming";
import { KitSheet } from "../KitSheet";
import { ChooseFactor } from "../NewFactor";
import { type Chosen, NewPassword, NOT_CHOSEN, wrongWith } from "../NewPassword";
import { PasswordOnly } from "../PasswordOnly";
import { account, factors, leave, session, trail, useRead, vault, waits } from "../state";
import type { Account, Factor, FactorList, Kit } from "../vault";
import { Waits } from "./Waits";

export function changed(): void {
  trail.forget();
  void Promise.all([account.load(), factors.load(), waits.load()]);
}

export function Security(): JSX.Element {
  const about = useRead(account);
  const list = useRead(factors);
  const running = useRead(waits);
  const known = running.value !== null || running.failure !== null;
  const [done, setDone] = useState<string | null>(null);
  const failure = about.failure ?? list.failure;
  return (
    <>
      <PageHead title={t("security.title")} />
      <div class="stack">
        {done !== null && (
          <Notice kind="good" live="status">
            {done}
          </Notice>
        )}
        <Waits />
        {failure !== null && (
          <Trouble
            failure={failure}
            onRetry={() => {
              about.again();
              list.again();
            }}
          />
        )}
        {(about.value === null || list.value === null || !known) && failure === null && <Waiting />}
        {about.value !== null && list.value !== null && known && (
          <All account={about.value} list={list.value} onDone={setDone} />
        )}
      </div>
    </>
  );
}

function All(props: { readonly account: Account; readonly list: FactorList; readonly onDone: (words: string) => void }): JSX.Element {
  const { list } = props;
  const [open, setOpen] = useState<"add" | "password" | "codes" | "kit" | null>(null);
  const [removing, setRemoving] = useState<Factor | null>(null);
  const [opening, setOpening] = useState<Factor | null>(null);
  const close = (): void => setOpen(null);
  const finish = (words: string): void => {
    close();
    props.onDone(words);
    changed();
  };
  return (
    <>
      <TwoFactorState account={props.account} />
      <Section title={t("factors.title")}>
        <div class="stack">
          <ul class="rows">
            {list.factors.map((factor) => (
              <li key={factor.factorId}>
                <div class="line breaks">
                  <Icon name={factor.kind === "passkey" ? "passkey" : "phone"} size={24} />
                  <span class="grow">
                    <span class="main-text">{factor.label}</span>
                    <span class="sub-text">
                      {t(factor.kind === "passkey" ? (factor.opensVault ? "factor.kind.passkey_vault" : "factor.kind.passkey") : "factor.kind.totp")}
                      {" · "}
                      {factor.usedAt === undefined ? t("factor.never_used") : <>{t("factor.used")} <When at={factor.usedAt} form="relative" /></>}
                    </span>
                  </span>
                  <span class="buttons">
                    {factor.kind === "passkey" && factor.opensVault === false && (
                      <Button onClick={() => setOpening(factor)}>{t("factor.open_vault")}</Button>
                    )}
                    <Button kind="quiet" icon="trash" onClick={() => setRemoving(factor)}>
                      {t("factor.remove")}
                    </Button>
                  </span>
                </div>
              </li>
            ))}
            {list.factors.length === 0 && (
              <li>
                <div class="line">
                  <span class="soft">{t("factors.none")}</span>
                </div>
              </li>
            )}
          </ul>
          <div class="buttons">
            <Button icon="plus" kind={list.factors.length === 0 ? "main" : "plain"} onClick={() => setOpen("add")}>
              {t("factors.add")}
            </Button>
          </div>
        </div>
      </Section>
      <Section title={t("security.ways_back")}>
        <ul class="rows">
          <Line
            icon="copy"
            title={t("codes.title")}
            words={list.backupCodesLeft === 0 ? t("codes.none_left") : t("codes.left", { count: list.backupCodesLeft })}
            warn={list.backupCodesLeft < 3}
          >
            <Button onClick={() => setOpen("codes")}>{t("codes.make")}</Button>
          </Line>
          <Line icon="print" title={t("kit.title")} words={t("kit.line")}>
            <Button onClick={() => setOpen("kit")}>{t("kit.new")}</Button>
          </Line>
        </ul>
      </Section>
      <Section title={t("security.sign_in")}>
        <ul class="rows">
          <Line icon="lock" title={t("password")} words={t("password.line")}>
            <Button onClick={() => setOpen("password")}>{t("password.change")}</Button>
          </Line>
          <Line icon="out" title={t("session.title")} words={t("session.line")}>
            <Button onClick={() => void vault().signOut().finally(() => leave("signed-out"))}>{t("sign_out")}</Button>
          </Line>
        </ul>
      </Section>
      <Section title={t("account.title")}>
        <div class="card">
          <Facts
            of={[
              [t("email"), <span class="name">{props.account.email}</span>],
              [t("kit.fingerprint"), <code>{props.account.fingerprint}</code>],
              [t("account.since"), <When at={props.account.createdAt} form="date" />],
            ]}
          />
        </div>
      </Section>
      <Section title={t("security.more")}>
        <ul class="rows">
          <Way href={to("security", "two-factor")} title={t("two_factor.title")} words={t("two_factor.line")} />
          <Way href={to("export")} title={t("export.title")} words={t("export.line")} />
          <Way href={to("trust")} title={t("trust.title")} words={t("trust.line")} />
          <Way href={to("why")} title={t("why.title")} words={t("why.line")} />
          <Way href={to("delete")} title={t("delete.title")} words={t("delete.line")} />
        </ul>
      </Section>
      {open === "add" && (
        <Dialog title={t("factors.add")} onClose={close}>
          <ChooseFactor
            confirm={list.addNeedsStepUp}
            taken={list.factors.map((factor) => factor.label)}
            onDone={() => finish(t("factors.added"))}
            onCancel={close}
          />
        </Dialog>
      )}
      {open === "password" && <ChangePassword email={props.account.email} onClose={close} onDone={() => finish(t("password.changed"))} />}
      {open === "codes" && <MakeCodes email={props.account.email} onClose={close} onDone={() => finish(t("codes.made"))} />}
      {open === "kit" && <NewKit onClose={close} onDone={() => finish(t("kit.made_new"))} />}
      {removing !== null && (
        <ConfirmDialog
          title={t("factor.remove.title", { name: removing.label })}
          lead={<p>{t(list.factors.length === 1 ? "factor.remove.last" : "factor.remove.lead")}</p>}
          action={t("factor.remove")}
          kind="danger-main"
          needsVault={false}
          failed={t("factor.not_removed")}
          onClose={() => setRemoving(null)}
          run={async (confirm, asks) => {
            await vault().removeFactor(removing.factorId, confirm, asks);
            props.onDone(t("factor.removed", { name: removing.label }));
            changed();
          }}
        />
      )}
      {opening !== null && (
        <OpenVault
          factor={opening}
          onClose={() => setOpening(null)}
          onDone={() => {
            setOpening(null);
            props.onDone(t("factor.opens_vault_now", { name: opening.label }));
            changed();
          }}
        />
      )}
    </>
  );
}

function TwoFactorState(props: { readonly account: Account }): JSX.Element {
  const { twoFactor, offAt } = props.account;
  return (
    <div class="card">
      <div class="row whole">
        <Icon name={twoFactor ? "shieldCheck" : "shield"} size={32} />
        <div class="grow">
          <p class="strong">{t(twoFactor ? "two_factor.on" : "two_factor.is_off")}</p>
          <p class="soft">
            {twoFactor && offAt !== undefined
              ? t("two_factor.ends", { at: dateTime(offAt) })
              : t(twoFactor ? "two_factor.on.lead" : "two_factor.off.lead")}
          </p>
        </div>
        <Tag kind={twoFactor ? "good" : "warn"}>{t(twoFactor ? "ui.on" : "ui.off")}</Tag>
      </div>
    </div>
  );
}

function Line(props: {
  readonly icon: "copy" | "print" | "lock" | "out";
  readonly title: string;
  readonly words: string;
  readonly warn?: boolean;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <li>
      <div class="line breaks">
        <Icon name={props.icon} size={24} />
        <span class="grow">
          <span class="main-text">{props.title}</span>
          <span class="sub-text">
            {props.warn && <Icon name="warn" size={14} />} {props.words}
          </span>
        </span>
        <span class="buttons">{props.children}</span>
      </div>
    </li>
  );
}

export function Way(props: { readonly href: string; readonly title: string; readonly words: string }): JSX.Element {
  return (
    <li>
      <a class="line" href={props.href}>
        <span class="grow">
          <span class="main-text">{props.title}</span>
          <span class="sub-text">{props.words}</span>
        </span>
        <Icon name="next" />
      </a>
    </li>
  );
}

function ChangePassword(props: { readonly email: string; readonly onClose: () => void; readonly onDone: () => void }): JSX.Element {
  const [chosen, setChosen] = useState<Chosen>(NOT_CHOSEN);
  const [wrong, setWrong] = useState<{ password?: string; again?: string }>({});
  const [busy, setBusy] = useState(false);
  return (
    <Dialog title={t("password.change")} onClose={props.onClose} busy={busy}>
      <ConfirmForm
        action={t("password.change")}
        failed={t("password.not_changed")}
        onCancel={props.onClose}
        onBusy={setBusy}
        check={() => {
          const missing = wrongWith(chosen);
          setWrong(missing);
          return Object.keys(missing).length === 0;
        }}
        run={async (confirm, asks) => {
          await vault().changePassword(confirm, chosen.password, asks);
          props.onDone();
        }}
      >
        <p class="soft">{t("password.change.lead")}</p>
        <NewPassword email={props.email} value={chosen} onInput={setChosen} wrong={wrong} autofocus />
      </ConfirmForm>
    </Dialog>
  );
}

function MakeCodes(props: { readonly email: string; readonly onClose: () => void; readonly onDone: () => void }): JSX.Element {
  const [codes, ask] = useAsk<readonly string[], boolean>(false);
  const [busy, setBusy] = useState(false);
  return (
    <Dialog title={t("codes.title")} onClose={props.onClose} busy={busy || codes !== null}>
      {codes !== null ? (
        <BackupCodes
          codes={codes.about}
          email={props.email}
          onKept={() => codes.answer(true)}
          onCancel={() => {
            codes.answer(false);
            props.onClose();
          }}
        />
      ) : (
        <>
          <p class="soft">{t("codes.lead")}</p>
          <ConfirmForm
            action={t("codes.make")}
            needsVault={false}
            failed={t("codes.not_made")}
            onCancel={props.onClose}
            onBusy={setBusy}
            autofocus
            run={async (confirm, asks) => {
              await vault().makeBackupCodes(confirm, { ...asks, keep: ask });
              props.onDone();
            }}
          />
        </>
      )}
    </Dialog>
  );
}

function NewKit(props: { readonly onClose: () => void; readonly onDone: () => void }): JSX.Element {
  const [kit, ask] = useAsk<Kit, boolean>(false);
  const [busy, setBusy] = useState(false);
  return (
    <Dialog title={t("kit.new")} onClose={props.onClose} busy={busy || kit !== null}>
      {kit !== null ? (
        <KitSheet
          kit={kit.about}
          onKept={() => kit.answer(true)}
          onCancel={() => {
            kit.answer(false);
            props.onClose();
          }}
        />
      ) : (
        <>
          <p class="soft">{t("kit.new.lead")}</p>
          <ConfirmForm
            action={t("kit.new")}
            failed={t("kit.not_made")}
            onCancel={props.onClose}
            onBusy={setBusy}
            autofocus
            run={async (confirm, asks) => {
              await vault().replaceKit(confirm, { ...asks, keepKit: ask });
              props.onDone();
            }}
          />
        </>
      )}
    </Dialog>
  );
}

function OpenVault(props: { readonly factor: Factor; readonly onClose: () => void; readonly onDone: () => void }): JSX.Element {
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  return (
    <Dialog title={t("factor.open_vault")} onClose={props.onClose} busy={busy}>
      <p class="soft">{t("factor.open_vault.lead")}</p>
      <PasswordOnly
        password={password}
        onInput={setPassword}
        action={t("factor.open_vault")}
        onBusy={setBusy}
        run={async () => {
          await vault().letPasskeyOpenVault(props.factor.factorId, password);
          props.onDone();
        }}
      />
    </Dialog>
  );
}


/** Giving up two-factor, and keeping it: what it changes, and what it does not. */
export function TwoFactor(): JSX.Element {
  const about = useRead(account);
  useRead(waits);
  const [asking, setAsking] = useState(false);
  const [begun, setBegun] = useState<number | null>(null);
  const back = { href: to("security"), label: t("security.title") };
  const { twoFactor, offAt } = about.value ?? {};
  return (
    <>
      <PageHead title={t("two_factor.title")} back={back} />
      <div class="stack">
        {about.failure !== null && <Trouble failure={about.failure} onRetry={about.again} />}
        {about.value === null && about.failure === null && <Waiting />}
        <Waits />
        {about.value !== null && <TwoFactorState account={about.value} />}
        {begun !== null && (
          <Notice live="status">
            {t("two_factor.begun", { at: dateTime(begun) })}
          </Notice>
        )}
        {twoFactor === true && (
          <>
            <Notice kind="good">
              <p>{t("two_factor.truth")}</p>
              <p>{rich("two_factor.truth.more", { link: (inner) => <a href={to("why")}>{inner}</a> })}</p>
            </Notice>
            {offAt === undefined && (
              <More title={t("two_factor.turn_off.more")}>
                <div class="stack">
                  <ul>
                    <li>{t("two_factor.turn_off.1")}</li>
                    <li>{t("two_factor.turn_off.2")}</li>
                    <li>{t("two_factor.turn_off.3")}</li>
                    <li>{t("two_factor.turn_off.4")}</li>
                  </ul>
                  <div class="buttons">
                    <Button kind="danger" onClick={() => setAsking(true)}>
                      {t("two_factor.turn_off")}
                    </Button>
                    <LinkButton href={to("security")}>{t("two_factor.keep")}</LinkButton>
                  </div>
                </div>
              </More>
            )}
          </>
        )}
        {twoFactor === false && (
          <>
            <p>{t("two_factor.turn_on.lead")}</p>
            <div class="buttons">
              <LinkButton kind="main" icon="shieldCheck" href={to("security", "add-factor")}>
                {t("two_factor.turn_on")}
              </LinkButton>
            </div>
          </>
        )}
      </div>
      {asking && (
        <ConfirmDialog
          title={t("two_factor.turn_off.title")}
          lead={<p>{t("two_factor.turn_off.lead")}</p>}
          action={t("two_factor.turn_off.begin")}
          kind="danger-main"
          needsVault={false}
          failed={t("two_factor.not_begun")}
          onClose={() => setAsking(false)}
          run={async (confirm, asks) => {
            const wait = await vault().beginTwoFactorOff(confirm, asks);
            setBegun(wait.dueAt);
            changed();
          }}
        />
      )}
    </>
  );
}

/** A page of its own for the factor that has to be added: after a backup code, after a reset, or to turn two-factor on. */
export function AddFactor(props: { readonly must?: "backup" | "reset" | undefined }): JSX.Element {
  const list = useRead(factors);
  const now = session.value;
  return (
    <>
      <PageHead
        title={t("factors.add")}
        lead={props.must === undefined ? t("two_factor.turn_on.lead") : t(props.must === "reset" ? "factors.must.reset" : "factors.must")}
      />
      {list.failure !== null && <Trouble failure={list.failure} onRetry={list.again} />}
      {list.value === null && list.failure === null && <Waiting />}
      {list.value !== null && (
        <div class="card">
          <ChooseFactor
            confirm={list.value.addNeedsStepUp}
            taken={list.value.factors.map((factor) => factor.label)}
            onDone={() => {
              // First where to: the whole account opens with the next line.
              go(to("security", "factor-added"), true);
              if (now !== null) session.value = { ...now, mustAddFactor: false };
              changed();
            }}
          />
        </div>
      )}
    </>
  );
}

/** What comes after it. */
export function FactorAdded(): JSX.Element {
  return (
    <>
      <PageHead title={t("factors.added.title")} />
      <div class="stack">
        <Notice kind="good" live="status">
          {t("factors.added")}
        </Notice>
        <p>{t("factors.added.next")}</p>
        <div class="buttons">
          <LinkButton kind="main" href={to("security")}>
            {t("security.title")}
          </LinkButton>
          <LinkButton href={to("keys")}>{t("keys.title")}</LinkButton>
        </div>
      </div>
    </>
  );
}
