// Computers that may save keys.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { list, number, t } from "../../i18n";
import {
  Button,
  Dialog,
  Empty,
  Facts,
  Field,
  LinkButton,
  More,
  Notice,
  PageHead,
  Tag,
  to,
  Trouble,
  Waiting,
  When,
} from "../../ui";
import { ConfirmDialog } from "../Confirming";
import { devices, trail, useRead, vault } from "../state";
import type { Device } from "../vault";
import { useWork } from "../work";

export function Devices(): JSX.Element {
  const read = useRead(devices);
  const [renaming, setRenaming] = useState<Device | null>(null);
  const [revoking, setRevoking] = useState<Device | null>(null);
  const all = read.value;
  const active = all?.filter((device) => device.state === "active") ?? [];
  const revoked = all?.filter((device) => device.state !== "active") ?? [];
  return (
    <>
      <PageHead
        title={t("devices.title")}
        lead={t("devices.lead")}
        aside={
          active.length > 0 && (
            <LinkButton kind="main" icon="plus" href={to("devices", "add")}>
              {t("devices.add")}
            </LinkButton>
          )
        }
      />
      <div class="stack">
        {read.failure !== null && <Trouble failure={read.failure} onRetry={read.again} />}
        {all === null && read.failure === null && <Waiting />}
        {all !== null && active.length === 0 && (
          <Empty icon="device" title={t("devices.none")}>
            <p>{t("devices.none.lead")}</p>
            <LinkButton kind="main" icon="plus" href={to("devices", "add")}>
              {t("devices.add")}
            </LinkButton>
          </Empty>
        )}
        {active.map((device) => (
          <One key={device.deviceId} device={device} onRename={() => setRenaming(device)} onRevoke={() => setRevoking(device)} />
        ))}
        {revoked.length > 0 && (
          <More title={t("devices.revoked", { count: revoked.length })}>
            <div class="stack">
              {revoked.map((device) => (
                <One key={device.deviceId} device={device} />
              ))}
            </div>
          </More>
        )}
      </div>
      {renaming !== null && <Rename device={renaming} all={active} onClose={() => setRenaming(null)} />}
      {revoking !== null && (
        <ConfirmDialog
          title={t("devices.revoke.title", { name: revoking.name })}
          lead={<p>{t("devices.revoke.lead")}</p>}
          action={t("devices.revoke")}
          kind="danger-main"
          needsVault={false}
          failed={t("devices.not_revoked")}
          onClose={() => setRevoking(null)}
          run={async (confirm, asks) => {
            await vault().revokeDevice(revoking.deviceId, confirm, asks);
            await devices.load();
            trail.forget();
          }}
        />
      )}
    </>
  );
}

function One(props: { readonly device: Device; readonly onRename?: () => void; readonly onRevoke?: () => void }): JSX.Element {
  const { device } = props;
  const isActive = device.state === "active";
  const gaps = device.gaps ?? [];
  return (
    <section class="card" aria-label={device.name}>
      <div class="row spread">
        <h2 class="name">{device.name === "" ? t("devices.nameless") : device.name}</h2>
        {isActive ? (
          <Tag kind="good" icon="check">
            {t("devices.may_save")}
          </Tag>
        ) : (
          <Tag>{t("devices.is_revoked")}</Tag>
        )}
      </div>
      {!device.verified && <Notice kind="bad">{t("devices.unverified")}</Notice>}
      {device.former && isActive && <Notice kind="warn">{t("devices.former")}</Notice>}
      {gaps.length > 0 && (
        <Notice kind="warn">
          <p>{t("devices.gaps", { count: gaps.length })}</p>
          <p class="small">{list(gaps.slice(0, 10).map(String))}</p>
        </Notice>
      )}
      {device.openOrders > 0 && <Notice>{t("devices.orders", { count: device.openOrders })}</Notice>}
      <Facts
        of={[
          [t("devices.seen"), device.seenAt === undefined ? t("devices.seen.never") : <When at={device.seenAt} form="relative" />],
          [t("devices.saves"), number(device.lastSeq)],
          [t("devices.outbox"), isActive && (gaps.length > 0 ? t("devices.outbox.missing") : t("devices.outbox.clear"))],
          [t("devices.enrolled"), <When at={device.issuedAt} form="date" />],
          [t("devices.enrolled_as"), device.enrolledName !== device.name && device.enrolledName],
          [t("devices.revoked_at"), device.revokedAt !== undefined && <When at={device.revokedAt} />],
          [t("devices.may"), isActive && t(device.capability === "records.append" ? "devices.may.append" : "devices.may.unknown")],
        ]}
      />
      {isActive && (
        <div class="buttons">
          <Button icon="pencil" onClick={() => props.onRename?.()}>
            {t("devices.rename")}
          </Button>
          <Button kind="danger" icon="close" onClick={() => props.onRevoke?.()}>
            {t("devices.revoke")}
          </Button>
        </div>
      )}
    </section>
  );
}

function Rename(props: { readonly device: Device; readonly all: readonly Device[]; readonly onClose: () => void }): JSX.Element {
  const { device } = props;
  const [name, setName] = useState(device.name);
  const [wrong, setWrong] = useState<string>();
  const work = useWork();
  return (
    <Dialog title={t("devices.rename.title")} onClose={props.onClose} busy={work.busy}>
      <form
        class="stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          const wanted = name.trim();
          if (wanted === "" || wanted.length > 64) {
            setWrong(t("factor.label.wrong"));
            return;
          }
          if (props.all.some((other) => other.deviceId !== device.deviceId && other.name === wanted)) {
            setWrong(t("devices.rename.taken"));
            return;
          }
          void work
            .run(async () => {
              await vault().renameDevice(device.deviceId, wanted);
              await devices.load();
            })
            .then((done) => {
              if (done) props.onClose();
            });
        }}
      >
        <Field
          label={t("devices.name")}
          hint={t("devices.rename.hint")}
          value={name}
          onInput={setName}
          error={wrong}
          maxLength={64}
          autofocus
        />
        {work.failure !== null && <Trouble failure={work.failure} />}
        <div class="buttons">
          <Button kind="main" type="submit" busy={work.busy}>
            {t("devices.rename")}
          </Button>
          <Button kind="quiet" onClick={props.onClose}>
            {t("ui.cancel")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
