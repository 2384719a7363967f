import type { JSX } from "preact";
import { useId, useRef, useState } from "preact/hooks";

import { t } from "../i18n";
import { Button } from "./Button";
import { Icon } from "./Icon";

/** A place to drop files on; its button opens the browser's own chooser. Files stay in the page. */
export function FileDrop(props: {
  readonly title: string;
  readonly hint: string;
  readonly accept?: string;
  readonly multiple?: boolean;
  readonly onFiles: (files: readonly File[]) => void;
}): JSX.Element {
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const id = useId();
  const take = (files: FileList | null | undefined): void => {
    if (files !== null && files !== undefined && files.length > 0) props.onFiles([...files]);
  };
  return (
    <div
      class={`drop ${over ? "over" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        take(event.dataTransfer?.files);
      }}
    >
      <Icon name="save" size={32} />
      <p class="strong">{props.title}</p>
      <p class="soft small" id={id}>
        {props.hint}
      </p>
      <input
        ref={input}
        type="file"
        hidden
        accept={props.accept}
        multiple={props.multiple ?? false}
        onChange={(event) => {
          take(event.currentTarget.files);
          event.currentTarget.value = "";
        }}
      />
      <Button icon="folder" describedBy={id} onClick={() => input.current?.click()}>
        {t("ui.file.choose")}
      </Button>
    </div>
  );
}
