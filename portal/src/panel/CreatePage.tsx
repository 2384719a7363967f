import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { Button, Field, PageHead, PasswordField, Select, Trouble, go, to, type Failure } from "../ui";
import { api, type Method } from "./api";
import { failure, p } from "./text";
import { MethodField } from "./TurnOnPage";

const NEW_FILE = "keyhaven.img";

export function CreatePage(): JSX.Element {
  const [path, setPath] = useState("");
  const [megabytes, setMegabytes] = useState("256");
  const [label, setLabel] = useState("KEYHAVEN");
  const [inside, setInside] = useState<"fat32" | "ntfs" | "exfat">("fat32");
  const [method, setMethod] = useState<Method>("xts_aes128");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<Failure>();
  useEffect(() => {
    // Somewhere to begin with; a folder that cannot be read is told when it is used.
    api.folder(null).then(
      (home) => setPath((typed) => (typed === "" ? `${home.path}/${NEW_FILE}` : typed)),
      () => undefined,
    );
  }, []);
  const next = (): void => {
    setBusy(true);
    const bytes = Math.max(0, Math.floor(Number(megabytes)) || 0) * 1024 * 1024;
    api
      .takeKey({
        intent: "create",
        path,
        bytes,
        method,
        file_system: inside,
        label,
        full: true,
        ...(password === "" ? {} : { password }),
      })
      .then(
        (hand) => go(to("key", hand.id)),
        (error: unknown) => setTrouble(failure(error)),
      )
      .finally(() => setBusy(false));
  };
  return (
    <>
      <PageHead title={p("drives.create")} back={{ href: to(), label: p("drives.back") }} />
      <div class="stack">
        {trouble !== undefined && <Trouble failure={trouble} focused />}
        <Field label={p("create.path")} value={path} onInput={setPath} exact />
        <Field label={p("create.size")} value={megabytes} onInput={setMegabytes} exact />
        <Field label={p("create.label")} value={label} onInput={setLabel} exact />
        <Select
          label={p("create.files")}
          value={inside}
          onChange={setInside}
          options={[
            { value: "fat32", label: "FAT32" },
            { value: "exfat", label: "exFAT" },
            { value: "ntfs", label: "NTFS" },
          ]}
        />
        <MethodField value={method} onChange={setMethod} />
        <PasswordField label={p("password.optional")} hint={p("password.hint")} use="new" value={password} onInput={setPassword} />
        <Button kind="main" busy={busy} off={path === ""} onClick={next}>
          {p("next")}
        </Button>
      </div>
    </>
  );
}
