// Activity: everything that was done with the account, and its check in this browser.

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";

import { number, t, textOr } from "../../i18n";
import { Button, Facts, Notice, PageHead, saveFile, Select, Table, Tag, Trouble, Waiting, When } from "../../ui";
import { devices, keys, trail, useRead, vault } from "../state";
import type { AuditEntry, AuditReport } from "../vault";
import { useWork } from "../work";
import { namesOf } from "./Keys";

const PAGE = 50;

const KINDS = ["all", "reveals", "saves", "sign_ins", "security", "devices"] as const;
type Kind = (typeof KINDS)[number];

function kindOf(action: string): Kind {
  if (/^(reveal|export)/.test(action)) return "reveals";
  if (/^(save|key_|rotate)/.test(action)) return "saves";
  if (/^login/.test(action)) return "sign_ins";
  if (/^device/.test(action)) return "devices";
  return "security";
}

export function Activity(): JSX.Element {
  const read = useRead(trail);
  const saved = useRead(keys).value;
  const known = useRead(devices).value;
  const [kind, setKind] = useState<Kind>("all");
  const [shown, setShown] = useState(PAGE);
  const names = useMemo(() => {
    const found = new Map<string, string>();
    for (const key of saved ?? []) found.set(key.recordId, namesOf(key));
    for (const device of known ?? []) found.set(device.deviceId, device.name);
    return found;
  }, [saved, known]);
  const entries = useMemo(
    () => [...(read.value ?? [])].reverse().filter((entry) => kind === "all" || kindOf(entry.action) === kind),
    [read.value, kind],
  );
  return (
    <>
      <PageHead title={t("activity.title")} lead={t("activity.lead")} />
      <div class="stack-l">
        <Verify />
        {read.failure !== null && <Trouble failure={read.failure} onRetry={read.again} />}
        {read.value === null && read.failure === null && <Waiting />}
        {read.value !== null && (
          <div class="stack">
            <Select
              label={t("activity.filter")}
              value={kind}
              onChange={(chosen) => {
                setKind(chosen);
                setShown(PAGE);
              }}
              options={KINDS.map((value) => ({ value, label: t(`activity.kind.${value}`) }))}
            />
            {entries.length === 0 ? (
              <p class="soft">{t("activity.none")}</p>
            ) : (
              <Table<AuditEntry>
                caption={t("activity.title")}
                rows={entries.slice(0, shown)}
                rowKey={(entry) => String(entry.seq)}
                columns={[
                  { name: t("activity.what"), cell: (entry) => <What entry={entry} names={names} /> },
                  { name: t("activity.when"), cell: (entry) => <When at={entry.at} /> },
                  { name: t("activity.who"), cell: (entry) => <Who entry={entry} names={names} /> },
                ]}
              />
            )}
            {entries.length > shown && (
              <div class="buttons">
                <Button onClick={() => setShown(shown + PAGE)}>{t("activity.more", { count: entries.length - shown })}</Button>
              </div>
            )}
          </div>
        )}
      </div>
    </>
  );
}

function What(props: { readonly entry: AuditEntry; readonly names: ReadonlyMap<string, string> }): JSX.Element {
  const { entry, names } = props;
  const name = names.get(entry.target);
  return (
    <span class="stack-s">
      <span>{textOr(`activity.action.${entry.action}`, entry.action)}</span>
      {name !== undefined && <span class="sub-text soft small name">{name}</span>}
      {entry.reason !== undefined && (
        <span class="soft small">{textOr(`key.reason.${entry.reason}`, entry.reason)}</span>
      )}
      {entry.outcome === "refused" && (
        <span>
          <Tag kind="warn">{t("activity.refused")}</Tag>
        </span>
      )}
    </span>
  );
}

function Who(props: { readonly entry: AuditEntry; readonly names: ReadonlyMap<string, string> }): JSX.Element {
  const { actor, net, client } = props.entry;
  const name = props.names.get(actor.id) ?? textOr(`activity.actor.${actor.kind}`, actor.kind);
  return (
    <span class="stack-s">
      <span class="name">{name}</span>
      <span class="soft small name">{[client, net].filter((word) => word !== "").join(" · ")}</span>
    </span>
  );
}

/** Replays the whole trail here, in the browser, against everything that it remembers. */
function Verify(): JSX.Element {
  const [report, setReport] = useState<AuditReport | null>(null);
  const work = useWork();
  const exporting = useWork();
  const sound = report !== null && report.problems.length === 0;
  return (
    <section class="card" aria-label={t("verify.title")}>
      <h2>{t("verify.title")}</h2>
      <p class="soft">{t("verify.lead")}</p>
      {sound && (
        <>
          <Notice kind="good" live="status">
            {t("verify.sound", { count: report.entries })}
          </Notice>
          <Facts
            of={[
              [t("verify.records"), number(report.records)],
              [t("verify.reveals"), number(report.reveals)],
              [t("verify.remembered"), number(report.remembered)],
              [t("verify.logged"), t("verify.logged.of", { logged: report.logged, size: report.logSize })],
              [t("verify.pending"), report.pending > 0 && number(report.pending)],
              [t("verify.service"), report.serviceFingerprint !== undefined && <code>{report.serviceFingerprint}</code>],
            ]}
          />
        </>
      )}
      {report !== null && !sound && (
        <Trouble
          failure={{ code: "log.inconsistent", helpUrl: "help/log.inconsistent" }}
          what={t("verify.unsound")}
        >
          <ul>
            {report.problems.slice(0, 20).map((problem) => (
              <li key={problem}>{problem}</li>
            ))}
          </ul>
        </Trouble>
      )}
      {work.failure !== null && <Trouble failure={work.failure} what={t("verify.failed")} />}
      {exporting.failure !== null && <Trouble failure={exporting.failure} />}
      <div class="buttons">
        <Button
          kind={report === null ? "main" : "plain"}
          icon="shieldCheck"
          busy={work.busy}
          onClick={() => void work.run(async () => setReport(await vault().auditVerify()))}
        >
          {t(report === null ? "verify.action" : "verify.again")}
        </Button>
        <Button
          icon="download"
          busy={exporting.busy}
          onClick={() =>
            void exporting.run(async () => saveFile("keyhaven-activity.json", await vault().auditExport(), "application/json"))
          }
        >
          {t("verify.export")}
        </Button>
      </div>
    </section>
  );
}
