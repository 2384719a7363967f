// Icons: 24 by 24, drawn with one stroke width. They are decoration; the words beside them tell.

import type { JSX } from "preact";

const PATHS = {
  key: "M8 15a4 4 0 1 1 3.5-5.9H21v3h-2v3h-3v-3h-4.5A4 4 0 0 1 8 15zm-.5-4.5v.01",
  save: "M12 3v11m-4-4 4 4 4-4M4 16v3a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2v-3",
  device: "M4 5h16v11H4zM2 20h20M9 16v4m6-4v4",
  shield: "M12 3 4 6v6c0 4.5 3.2 7.8 8 9 4.8-1.2 8-4.5 8-9V6z",
  shieldCheck: "M12 3 4 6v6c0 4.5 3.2 7.8 8 9 4.8-1.2 8-4.5 8-9V6zM8.5 12l2.5 2.5 4.5-5",
  activity: "M4 6h16M4 12h16M4 18h10",
  check: "M5 12.5 10 17.5 19.5 7",
  warn: "M12 4 2.5 20h19zM12 10v4.5m0 2.5v.01",
  bad: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zM12 8v5m0 3v.01",
  info: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zM12 11v5m0-8v.01",
  search: "M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM15.5 15.5 20 20",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  print: "M7 8V3h10v5M7 17H4V9h16v8h-3M7 14h10v7H7z",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 9a3 3 0 1 1 0 6 3 3 0 0 1 0-6z",
  eyeOff: "M4 4l16 16M6.5 7.5C4 9.2 2.5 12 2.5 12S6 18.5 12 18.5c1.6 0 3-.4 4.2-1M9.5 5.9c.8-.3 1.6-.4 2.5-.4 6 0 9.5 6.5 9.5 6.5s-.8 1.5-2.3 3",
  close: "M6 6l12 12M18 6 6 18",
  back: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  passkey: "M9 4a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7zM3 20v-1.5C3 15.5 5.5 14 9 14c1 0 2 .1 2.8.4M18 10a2.5 2.5 0 0 1 1 4.8V20l-1 1-1.5-1.5L17.5 18l-1-1 .5-2.2A2.5 2.5 0 0 1 18 10z",
  phone: "M7 2.5h10v19H7zM11 18.5h2",
  mail: "M3 5.5h18v13H3zM3.5 6l8.5 7 8.5-7",
  user: "M12 4a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM4 20.5c0-3.5 3-5.5 8-5.5s8 2 8 5.5",
  out: "M14 4h5v16h-5M4 12h11m-4-4 4 4-4 4",
  download: "M12 4v10m-4-4 4 4 4-4M5 19h14",
  trash: "M4 7h16M9 7V4h6v3M6.5 7l1 13h9l1-13M10 11v5m4-5v5",
  pencil: "M4 20l1-4L16 5l3 3L8 19z",
  clock: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zM12 7v5l3.5 2",
  plus: "M12 5v14M5 12h14",
  drive: "M3 13l3-8h12l3 8v6H3zM3 13h18M16.5 16v.01M13.5 16v.01",
  help: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zM9.5 9.5a2.5 2.5 0 1 1 3.5 2.3c-.7.3-1 .8-1 1.7m0 3v.01",
  globe: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zM3 12h18M12 3c3 3 3.5 6 3.5 9s-.5 6-3.5 9c-3-3-3.5-6-3.5-9s.5-6 3.5-9z",
  speak: "M4 9.5v5h3.5L12 19V5L7.5 9.5zM15.5 9a4 4 0 0 1 0 6M18 6.5a7.5 7.5 0 0 1 0 11",
  larger: "M3 19 8.5 5 14 19M5 14.5h7M15 19l3-8 3 8m-5-2.5h4",
  scan: "M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4M4 12h16",
  folder: "M3 6h6l2 2h10v11H3z",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  more: "M5.5 12v.01M12 12v.01M18.5 12v.01",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 20 }: { readonly name: IconName; readonly size?: number }): JSX.Element {
  return (
    <svg
      viewBox="0 0 24 24"
      width={size}
      height={size}
      fill="none"
      stroke="currentColor"
      stroke-width={name === "more" ? 3 : 1.8}
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
