import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { Button, Notice, PageHead, Table, Trouble, Waiting, When, to, type Failure } from "../ui";
import { api, type FileEntry, type Files } from "./api";
import { failure, p, size } from "./text";

/** The browser itself fetches it, so that it may be as large as it is. */
function fetchIt(address: string): void {
  const link = document.createElement("a");
  link.href = address;
  link.download = "";
  link.click();
}

export function FilesPage({ id, path }: { readonly id: string; readonly path: string }): JSX.Element {
  const [files, setFiles] = useState<Files>();
  const [trouble, setTrouble] = useState<Failure>();
  const failed = (error: unknown): void => setTrouble(failure(error));
  useEffect(() => {
    setFiles(undefined);
    setTrouble(undefined);
    api.files(id, path).then(setFiles, failed);
  }, [id, path]);
  const download = (of: string): void => {
    api.download(id, [of]).then(({ address }) => fetchIt(address), failed);
  };
  const parts = path === "" ? [] : path.split("/");
  const below = (name: string): readonly string[] => [...parts, name];
  const above = to("drive", id, ...(parts.length === 0 ? [] : ["files", ...parts.slice(0, -1)]));
  return (
    <>
      <PageHead title={parts.at(-1) ?? p("files")} back={{ href: above, label: parts.length === 0 ? p("files.top") : p("choose.up") }} />
      {trouble !== undefined && <Trouble failure={trouble} />}
      {files === undefined && trouble === undefined && <Waiting />}
      {files !== undefined && (
        <div class="stack">
          <div class="row">
            <Button icon="download" onClick={() => download(path)}>
              {p("files.download.folder")}
            </Button>
          </div>
          {files.entries.length === 0 && <p>{p("files.empty")}</p>}
          {files.entries.length > 0 && (
            <Table<FileEntry>
              caption={p("files")}
              rows={files.entries}
              rowKey={(entry) => entry.name}
              columns={[
                {
                  name: p("files.name"),
                  cell: (entry) =>
                    entry.kind === "folder" ? (
                      <a href={to("drive", id, "files", ...below(entry.name))}>{entry.name}</a>
                    ) : entry.kind === "file" ? (
                      <button type="button" class="text-button" aria-label={p("files.download", { name: entry.name })} onClick={() => download(below(entry.name).join("/"))}>
                        {entry.name}
                      </button>
                    ) : (
                      entry.name
                    ),
                },
                { name: p("files.size"), cell: (entry) => (entry.kind === "file" ? size(entry.bytes) : "") },
                { name: p("files.changed"), cell: (entry) => (entry.modified_ms === null ? "" : <When at={entry.modified_ms} />) },
              ]}
            />
          )}
          {files.problems.map((problem) => (
            <Notice key={problem} kind="warn">
              {problem}
            </Notice>
          ))}
        </div>
      )}
    </>
  );
}
