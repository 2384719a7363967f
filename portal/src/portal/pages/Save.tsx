// Saving a key: drop a file or paste a text, look at what was found, save, see the receipts.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { dateTime, rich, t, textOr } from "../../i18n";
import {
  Button,
  failureTitle,
  Field,
  FileDrop,
  focusFirst,
  focusWrong,
  Icon,
  LinkButton,
  More,
  Notice,
  PageHead,
  Tag,
  TextArea,
  to,
  Trouble,
} from "../../ui";
import { failureOf, keys, trail, vault } from "../state";
import type { FoundKey, FoundKeys, SaveOutcome } from "../vault";
import { useWork } from "../work";
import { KeyId } from "./Keys";

/** Longer files are no exports of keys. */
const MAX_BYTES = 16 * 1024 * 1024;

interface Source {
  readonly name: string;
  readonly found: FoundKeys;
}

export function Save(): JSX.Element {
  const [sources, setSources] = useState<readonly Source[]>([]);
  const [outcomes, setOutcomes] = useState<readonly { row: FoundKey; outcome: SaveOutcome }[] | null>(null);
  const stage = outcomes !== null ? "saved" : sources.length > 0 ? "preview" : "choose";
  useEffect(() => {
    scrollTo(0, 0);
    focusFirst(document);
  }, [stage]);
  const restart = (): void => {
    setSources([]);
    setOutcomes(null);
  };
  if (outcomes !== null) return <Saved outcomes={outcomes} onMore={restart} />;
  if (sources.length > 0)
    return (
      <Preview
        sources={sources}
        onBack={restart}
        onSaved={(all) => {
          setOutcomes(all);
          void keys.load();
          trail.forget();
        }}
      />
    );
  return <Choose onFound={setSources} />;
}

function Choose(props: { readonly onFound: (sources: readonly Source[]) => void }): JSX.Element {
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState<string>();
  const work = useWork();
  const form = useRef<HTMLFormElement>(null);
  const read = (inputs: readonly { name: string; load: () => Promise<Uint8Array | string> }[]): void => {
    void work.run(async () => {
      const sources: Source[] = [];
      for (const { name, load } of inputs) sources.push({ name, found: await vault().readKeys(await load(), name) });
      if (sources.every(({ found }) => found.rows.length === 0))
        throw Object.assign(new Error(), { code: "page.no_keys" });
      props.onFound(sources);
    });
  };
  return (
    <>
      <PageHead title={t("save.title")} lead={t("save.lead")} />
      <div class="stack-l">
        <div class="stack">
          <FileDrop
            title={t("save.drop")}
            hint={t("save.drop.hint")}
            multiple
            onFiles={(files) => {
              if (files.some((file) => file.size > MAX_BYTES)) {
                work.fail({ code: "page.too_large" });
                return;
              }
              read(
                files.map((file) => ({ name: file.name, load: async () => new Uint8Array(await file.arrayBuffer()) })),
              );
            }}
          />
          {work.failure !== null && <Trouble failure={work.failure} what={t("save.not_read")} />}
        </div>
        <form
          class="stack"
          noValidate
          ref={form}
          onSubmit={(event) => {
            event.preventDefault();
            if (text.trim() === "") {
              setWrong(t("save.paste.missing"));
              focusWrong(form.current);
              return;
            }
            setWrong(undefined);
            read([{ name: "", load: () => Promise.resolve(text) }]);
          }}
        >
          <TextArea
            label={t("save.paste")}
            hint={t("save.paste.hint")}
            value={text}
            onInput={setText}
            error={wrong}
            class="mono"
          />
          <div class="buttons">
            <Button kind="main" type="submit" busy={work.busy}>
              {t("save.look")}
            </Button>
          </div>
        </form>
        <div>
          <More title={t("save.where")}>
            <ul>
              <li>{t("save.where.windows")}</li>
              <li>{rich("save.where.manage_bde", { code: (inner) => <code>{inner}</code> })}</li>
              <li>{t("save.where.account")}</li>
              <li>{rich("save.where.device", { link: (inner) => <a href={to("devices", "add")}>{inner}</a> })}</li>
            </ul>
          </More>
          <More title={t("save.two_factor")}>
            <p>{rich("save.two_factor.lead", { link: (inner) => <a href={to("why")}>{inner}</a> })}</p>
          </More>
        </div>
      </div>
    </>
  );
}

function keyName(row: FoundKey): string {
  return row.label || row.drive || t("keys.drive.other");
}

function Preview(props: {
  readonly sources: readonly Source[];
  readonly onBack: () => void;
  readonly onSaved: (outcomes: readonly { row: FoundKey; outcome: SaveOutcome }[]) => void;
}): JSX.Element {
  const { sources } = props;
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
  const [computer, setComputer] = useState("");
  const work = useWork();
  const name = (source: Source, row: FoundKey): string => `${source.found.handle}/${String(row.index)}`;
  const rows = sources.flatMap((source) => source.found.rows.map((row) => ({ source, row })));
  const chosen = rows.filter(({ source, row }) => row.fate === "save" && !left.has(name(source, row)));
  const nameless = chosen.some(({ row }) => row.computer === "");
  const save = async (): Promise<void> => {
    const all: { row: FoundKey; outcome: SaveOutcome }[] = [];
    for (const source of sources) {
      const its = chosen.filter((one) => one.source === source).map((one) => one.row);
      if (its.length === 0) continue;
      const outcomes = await vault().saveKeys(
        source.found.handle,
        its.map((row) => row.index),
        computer.trim() === "" ? undefined : computer.trim(),
      );
      for (const outcome of outcomes) {
        const row = its.find((one) => one.index === outcome.index);
        if (row !== undefined) all.push({ row, outcome });
      }
    }
    props.onSaved(all);
  };
  return (
    <>
      <PageHead title={t("save.preview", { count: rows.length })} lead={t("save.preview.lead")} />
      <div class="stack">
        <ul class="rows">
          {rows.map(({ source, row }) => (
            <li key={name(source, row)}>
              <div class="line">
                {row.fate === "save" ? (
                  <input
                    type="checkbox"
                    class="tick"
                    aria-label={`${keyName(row)}, ${row.keyId.slice(0, 8)}`}
                    checked={!left.has(name(source, row))}
                    onChange={() => {
                      const next = new Set(left);
                      if (!next.delete(name(source, row))) next.add(name(source, row));
                      setLeft(next);
                    }}
                  />
                ) : (
                  <Icon name={row.fate === "known" ? "check" : "warn"} />
                )}
                <span class="grow">
                  <span class="main-text">
                    {keyName(row)}
                    {row.computer !== "" && ` · ${row.computer}`}
                  </span>
                  <span class="sub-text row">
                    {row.keyId !== "" && <KeyId id={row.keyId} />}
                    {row.kind === "external-key" && <Tag>{t("keys.tag.startup")}</Tag>}
                    {row.fate === "known" && <Tag kind="good">{t("save.known")}</Tag>}
                    {row.fate === "refused" && <Tag kind="warn">{t("save.refused")}</Tag>}
                  </span>
                  {row.fate === "refused" && (
                    <span class="sub-text">
                      {row.wrongGroup === undefined
                        ? textOr(`save.refused.${row.why ?? ""}`, row.why ?? "")
                        : t("save.wrong_group", { number: row.wrongGroup })}
                      {placeWords(row.place)}
                    </span>
                  )}
                </span>
              </div>
            </li>
          ))}
        </ul>
        {nameless && (
          <Field
            label={t("save.computer")}
            hint={t("save.computer.hint")}
            value={computer}
            onInput={setComputer}
            maxLength={64}
          />
        )}
        {work.failure !== null && <Trouble failure={work.failure} what={t("save.not_saved")} />}
        <div class="buttons">
          <Button kind="main" icon="save" busy={work.busy} off={chosen.length === 0} onClick={() => void work.run(save)}>
            {t("save.save", { count: chosen.length })}
          </Button>
          <Button kind="quiet" off={work.busy} onClick={props.onBack}>
            {t("save.other")}
          </Button>
        </div>
        {chosen.length === 0 && <p class="soft">{t("save.nothing")}</p>}
      </div>
    </>
  );
}

function Saved(props: {
  readonly outcomes: readonly { row: FoundKey; outcome: SaveOutcome }[];
  readonly onMore: () => void;
}): JSX.Element {
  const saved = props.outcomes.filter(({ outcome }) => outcome.saved);
  const waiting = props.outcomes.filter(({ outcome }) => !outcome.saved);
  const first = waiting[0]?.outcome.failure;
  return (
    <>
      <PageHead title={saved.length === 0 ? t("save.none_saved") : t("save.saved", { count: saved.length })} />
      <div class="stack">
        {saved.length > 0 && (
          <Notice kind="good" live="status">
            {t("save.saved.lead")}
          </Notice>
        )}
        {saved.length > 0 && (
          <ul class="rows">
            {saved.map(({ row, outcome }) => (
              <li key={outcome.index}>
                <a class="line" href={to("keys", outcome.receipt?.recordId ?? "")}>
                  <Icon name="check" />
                  <span class="grow">
                    <span class="main-text">{keyName(row)}</span>
                    <span class="sub-text row">
                      <KeyId id={row.keyId} short />
                      {outcome.receipt !== undefined && (
                        <span>
                          {t("save.receipt", { at: dateTime(outcome.receipt.committedAt), seq: outcome.receipt.auditSeq })}
                        </span>
                      )}
                    </span>
                  </span>
                  <Icon name="next" />
                </a>
              </li>
            ))}
          </ul>
        )}
        {waiting.length > 0 && first !== undefined && (
          <Trouble failure={failureOf(first)} what={t("save.waiting", { count: waiting.length })}>
            <ul>
              {waiting.map(({ row, outcome }) => (
                <li key={outcome.index}>
                  {keyName(row)} <KeyId id={row.keyId} short />: {failureTitle(failureOf(outcome.failure))}
                </li>
              ))}
            </ul>
          </Trouble>
        )}
        {saved.length > 0 && <p class="soft">{t("save.saved.file")}</p>}
        <div class="buttons">
          <LinkButton kind="main" href={to("keys")}>
            {t("keys.title")}
          </LinkButton>
          <Button onClick={props.onMore}>{t("save.more")}</Button>
        </div>
      </div>
    </>
  );
}

/** " (line 5)": where in the file it stands, as the reader of files says it. A whole file needs no place. */
function placeWords(place: string): string {
  const found = /^(line|entry) (\d+)$/.exec(place);
  if (found === null) return "";
  const number = Number(found[2]);
  return ` (${found[1] === "line" ? t("save.place.line", { number }) : t("save.place.entry", { number })})`;
}
