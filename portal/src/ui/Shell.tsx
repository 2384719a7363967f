// The frame around every page.

import type { ComponentChildren, JSX } from "preact";
import { useEffect } from "preact/hooks";

import { LANGUAGE_NAMES, type Language, language, setLanguage, t } from "../i18n";
import { focusFirst, said } from "./focus";
import { Icon, type IconName } from "./Icon";

export interface Way {
  readonly href: string;
  readonly label: string;
  readonly icon: IconName;
  readonly here: boolean;
}

export function Shell(props: {
  readonly home: string;
  /** Changes when another page is shown: then the heading gets the focus. */
  readonly page: string;
  readonly title: string;
  readonly ways?: readonly Way[] | undefined;
  readonly aside?: ComponentChildren;
  readonly narrow?: boolean;
  readonly foot?: ComponentChildren;
  readonly children: ComponentChildren;
}): JSX.Element {
  const { ways } = props;
  useEffect(() => {
    scrollTo(0, 0);
    focusFirst(document);
  }, [props.page]);
  useEffect(() => {
    document.title = `${props.title} · Keyhaven`;
  }, [props.title]);
  return (
    <div class={`shell ${ways === undefined ? "" : "with-ways"}`}>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          focusFirst(document);
        }}
      >
        {t("ui.skip")}
      </a>
      <header class="shell-head">
        <a class="brand" href={props.home}>
          <Brand />
          Keyhaven
        </a>
        {props.aside}
      </header>
      {ways !== undefined && (
        <nav class="ways" aria-label={t("ui.ways")}>
          <ul>
            {ways.map((way) => (
              <li key={way.href}>
                <a href={way.href} aria-current={way.here ? "page" : undefined}>
                  <Icon name={way.icon} size={22} />
                  {way.label}
                </a>
              </li>
            ))}
          </ul>
        </nav>
      )}
      <main class={`shell-main ${props.narrow ? "narrow" : ""}`} id="main">
        {props.children}
      </main>
      <footer class="shell-foot">
        {props.foot}
        {(Object.keys(LANGUAGE_NAMES) as Language[])
          .filter((other) => other !== language.value)
          .map((other, place) => (
            // By place, so that the button that was pressed keeps the focus.
            <button key={place} type="button" class="text-button" lang={other} onClick={() => setLanguage(other)}>
              {LANGUAGE_NAMES[other]}
            </button>
          ))}
      </footer>
      <div class="unseen" role="status" aria-live="polite">
        {said.value}
      </div>
    </div>
  );
}

/** A key in a harbour: the mark of the product. */
function Brand(): JSX.Element {
  return (
    <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false">
      <path fill="currentColor" d="M4 4h24v12c0 7-5 11-12 13C9 27 4 23 4 16z" />
      <path
        fill="none"
        stroke="var(--card)"
        stroke-width="2.4"
        stroke-linecap="round"
        d="M16 8.5a3.2 3.2 0 1 1 0 6.4 3.2 3.2 0 0 1 0-6.4zM16 15v8m0-3.2h3.2"
      />
    </svg>
  );
}
