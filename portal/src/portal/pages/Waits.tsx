import type { JSX } from "preact";

import { dateTime, t } from "../../i18n";
import { Button, Notice, Trouble } from "../../ui";
import { driveName } from "./Keys";
import { account, keys, session, vault, waits } from "../state";
import type { Wait } from "../vault";
import { useWork } from "../work";

export function waitWords(wait: Wait): string {
  const at = dateTime(wait.dueAt);
  const record = keys.value.value?.find((key) => key.recordId === wait.target);
  switch (wait.kind) {
    case "two-factor-off":
      return t("waits.off", { at });
    case "factor-reset":
      return t("waits.reset", { at });
    case "new-keys":
      return t("waits.new_keys", { at });
    case "delete-record":
      return record?.meta === undefined
        ? t("waits.delete_record", { at })
        : t("waits.delete_record_of", { at, drive: driveName(record), computer: record.meta.computer || t("keys.no_computer") });
    case "delete-account":
      return t("waits.delete_account", { at });
    default:
      return t("waits.other", { at });
  }
}

/** Changes that are about to happen, each with the way to cancel it. Stands on the first page, so that nobody misses one. */
export function Waits(props: { readonly of?: string }): JSX.Element | null {
  const open = (waits.value.value ?? []).filter((wait) => props.of === undefined || wait.target === props.of);
  if (session.value === null || open.length === 0) return null;
  return (
    <>
      {open.map((wait) => (
        <OneWait key={wait.waitId} wait={wait} />
      ))}
    </>
  );
}

function OneWait(props: { readonly wait: Wait }): JSX.Element {
  const { wait } = props;
  const work = useWork();
  return (
    <Notice kind="warn">
      <p class="strong">{waitWords(wait)}</p>
      <p>{t("waits.not_you", { at: dateTime(wait.begunAt) })}</p>
      {work.failure !== null && <Trouble failure={work.failure} />}
      <div>
        <Button
          busy={work.busy}
          onClick={() =>
            void work.run(async () => {
              await vault().cancelWait(wait.waitId);
              await Promise.all([waits.load(), account.load(), keys.load()]);
            })
          }
        >
          {t("waits.cancel")}
        </Button>
      </div>
    </Notice>
  );
}
