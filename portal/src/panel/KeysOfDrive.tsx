// The keys that open a drive: which there are, a new one, one that goes.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { Button, Icon, Notice, Section, go, to } from "../ui";
import { api, type Drive, type Protector } from "./api";
import { Chooser } from "./ChoosePage";
import { Sure } from "./DrivePage";
import { p } from "./text";

/** Kinds that a person has in hand: one of them must stay. */
const PERSONS: readonly Protector["kind"][] = ["recovery_password", "password", "external_key"];

export function KeysOfDrive(props: {
  readonly drive: Drive;
  /** Whether they can be changed now. */
  readonly change: boolean;
  readonly act: (done: Promise<unknown>) => void;
}): JSX.Element {
  const { drive, act } = props;
  const [going, setGoing] = useState<Protector>();
  const [folder, setFolder] = useState<string>();
  const [made, setMade] = useState<string>();
  const ofPersons = drive.protectors.filter((key) => PERSONS.includes(key.kind)).length;
  const addKey = (): void => act(api.takeKey({ intent: "add", drive: drive.id }).then((hand) => go(to("key", hand.id))));
  const addFile = (into: string): void =>
    act(
      api.addKeyFile(drive.id, into).then(({ path }) => {
        setMade(path);
        setFolder(undefined);
      }),
    );
  return (
    <Section title={p("fact.keys")}>
      <div class="stack">
      <ul class="rows">
        {drive.protectors.map((key) => (
          <li key={key.identifier}>
            <div class="line breaks">
              <Icon name={key.kind === "external_key" ? "folder" : key.kind === "password" ? "lock" : "key"} size={24} />
              <span class="grow">
                <span class="main-text">{p(`kind.${key.kind}`)}</span>
                <span class="sub-text">
                  <code>{key.key_id}</code>
                </span>
              </span>
              {props.change && PERSONS.includes(key.kind) && ofPersons > 1 && (
                <Button kind="quiet" icon="trash" label={p("protector.remove", { key: `${p(`kind.${key.kind}`)} ${key.key_id}` })} onClick={() => setGoing(key)}>
                  {p("protector.remove.short")}
                </Button>
              )}
            </div>
          </li>
        ))}
      </ul>
      {made !== undefined && (
        <Notice kind="good" live="status">
          {p("key_file.made", { path: made })}
        </Notice>
      )}
      {props.change && folder === undefined && (
        <div class="buttons">
          <Button icon="key" onClick={addKey}>
            {p("protector.add")}
          </Button>
          <Button icon="folder" onClick={() => setFolder("")}>
            {p("key_file.add")}
          </Button>
        </div>
      )}
      {props.change && folder !== undefined && (
        <div class="stack">
          <p class="strong">{p("key_file.folder")}</p>
          <Chooser path={folder} onPath={setFolder} folders />
          <div class="buttons">
            <Button kind="main" off={folder === ""} onClick={() => addFile(folder)}>
              {p("key_file.make")}
            </Button>
            <Button kind="quiet" onClick={() => setFolder(undefined)}>
              {p("sure.no")}
            </Button>
          </div>
        </div>
      )}
      </div>
      {going !== undefined && (
        <Sure
          title={p("protector.sure", { key: `${p(`kind.${going.kind}`)} ${going.key_id}` })}
          lead={p("protector.sure.lead")}
          words={p("protector.remove.short")}
          onClose={() => setGoing(undefined)}
          onSure={() => act(api.removeProtector(drive.id, going.identifier))}
        />
      )}
    </Section>
  );
}
