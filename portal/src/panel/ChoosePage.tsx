import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { Button, Field, PageHead, Trouble, go, to, type Failure } from "../ui";
import { api, type Folder } from "./api";
import { failure, p, size } from "./text";

/** Picks a file or a folder of this computer, or takes a typed path. */
export function Chooser(props: { readonly path: string; readonly onPath: (path: string) => void; readonly folders?: boolean }): JSX.Element {
  const [folder, setFolder] = useState<Folder>();
  const [trouble, setTrouble] = useState<Failure>();
  const show = (path: string | null): void => {
    api.folder(path).then(
      (found) => {
        setFolder(found);
        setTrouble(undefined);
        if (props.folders) props.onPath(found.path);
      },
      (error: unknown) => setTrouble(failure(error)),
    );
  };
  useEffect(() => show(null), []);
  const parent = folder?.parent;
  return (
    <div class="stack">
      {trouble !== undefined && <Trouble failure={trouble} />}
      <Field label={p("choose.path")} hint={p("choose.path.hint")} value={props.path} onInput={props.onPath} exact />
      {folder !== undefined && (
        <div class="card stack">
          <p class="soft small">{folder.path}</p>
          {parent !== null && parent !== undefined && (
            <Button kind="quiet" icon="back" onClick={() => show(parent)}>
              {p("choose.up")}
            </Button>
          )}
          {folder.entries
            .filter((entry) => entry.folder || !props.folders)
            .map((entry) => (
              <div class="row spread" key={entry.path}>
                <Button kind="quiet" icon={entry.folder ? "folder" : "drive"} onClick={() => (entry.folder ? show(entry.path) : props.onPath(entry.path))}>
                  {entry.name}
                </Button>
                {!entry.folder && <span class="soft small numbers">{size(entry.bytes)}</span>}
              </div>
            ))}
        </div>
      )}
    </div>
  );
}

export function ChoosePage(): JSX.Element {
  const [path, setPath] = useState("");
  const [trouble, setTrouble] = useState<Failure>();
  const use = (): void => {
    api.choose(path).then(
      () => go(to()),
      (error: unknown) => setTrouble(failure(error)),
    );
  };
  return (
    <>
      <PageHead title={p("choose.title")} back={{ href: to(), label: p("drives.back") }} />
      {trouble !== undefined && <Trouble failure={trouble} focused />}
      <Chooser path={path} onPath={setPath} />
      <Button kind="main" off={path === ""} onClick={use}>
        {p("choose.use")}
      </Button>
    </>
  );
}
