// Which page is shown, and the frame around it.

import type { JSX } from "preact";

import { t } from "../i18n";
import { Menu, route, Shell, to, type Way } from "../ui";
import { Activity } from "./pages/Activity";
import { AddDevice, openedLink } from "./pages/AddDevice";
import { BringOver } from "./pages/BringOver";
import { Delete } from "./pages/Delete";
import { Devices } from "./pages/Devices";
import { Export } from "./pages/Export";
import { Keys } from "./pages/Keys";
import { CancelByMail, Lost, LostAll, LostPassword, LostPhone, Reset } from "./pages/Lost";
import { OneKey } from "./pages/OneKey";
import { Save } from "./pages/Save";
import { AddFactor, FactorAdded, Security, TwoFactor } from "./pages/Security";
import { StartOver } from "./pages/StartOver";
import { SignIn } from "./pages/SignIn";
import { SignUp } from "./pages/SignUp";
import { NotFound, Trust, Why } from "./pages/texts";
import { Welcome } from "./pages/Welcome";
import { leave, session, vault } from "./state";

interface Page {
  readonly title: string;
  readonly body: JSX.Element;
  readonly narrow?: boolean;
}

/** Pages that anybody may read. */
function openPage(path: readonly string[]): Page | null {
  switch (path.join("/")) {
    case "why":
      return { title: t("why.title"), body: <Why /> };
    case "trust":
      return { title: t("trust.title"), body: <Trust /> };
    case "cancel":
      return { title: t("cancel.title"), body: <CancelByMail />, narrow: true };
    default:
      return null;
  }
}

function outside(path: readonly string[]): Page {
  switch (path.join("/")) {
    case "":
      // A link to enrol a computer needs somebody who is signed in.
      return openedLink.value === null
        ? { title: t("welcome.title"), body: <Welcome />, narrow: true }
        : { title: t("sign_in.title"), body: <SignIn />, narrow: true };
    case "sign-up":
      return { title: t("sign_up.title"), body: <SignUp />, narrow: true };
    case "lost":
      return { title: t("lost.title"), body: <Lost />, narrow: true };
    case "lost/phone":
      return { title: t("lost.phone"), body: <LostPhone />, narrow: true };
    case "lost/password":
      return { title: t("lost.password"), body: <LostPassword />, narrow: true };
    case "lost/reset":
      return { title: t("lost.phone.reset"), body: <Reset key="password" with="password" />, narrow: true };
    case "lost/both":
      return { title: t("lost.both"), body: <Reset key="kit" with="kit" />, narrow: true };
    case "lost/new-keys":
      return { title: t("renew.title"), body: <StartOver />, narrow: true };
    case "lost/all":
      return { title: t("lost.all"), body: <LostAll />, narrow: true };
    default:
      // Any page of the account: it is shown after the sign-in.
      return { title: t("sign_in.title"), body: <SignIn />, narrow: true };
  }
}

function inside(path: readonly string[]): Page {
  const [first = "", second] = path;
  if (path.length > 2) return { title: t("not_found.title"), body: <NotFound /> };
  switch (second === undefined ? first : `${first}/*`) {
    case "":
    case "sign-in":
    case "sign-up":
    case "keys":
      return { title: t("keys.title"), body: <Keys /> };
    case "keys/*":
      return { title: t("key.title"), body: <OneKey recordId={second ?? ""} /> };
    case "save":
      return { title: t("save.title"), body: <Save /> };
    case "devices":
      return { title: t("devices.title"), body: <Devices /> };
    case "devices/*":
      return second === "add" ? { title: t("enrol.title"), body: <AddDevice /> } : { title: t("not_found.title"), body: <NotFound /> };
    case "security":
      return { title: t("security.title"), body: <Security /> };
    case "security/*":
      if (second === "two-factor") return { title: t("two_factor.title"), body: <TwoFactor /> };
      if (second === "add-factor") return { title: t("factors.add"), body: <AddFactor /> };
      if (second === "factor-added") return { title: t("factors.added.title"), body: <FactorAdded /> };
      return { title: t("not_found.title"), body: <NotFound /> };
    case "activity":
      return { title: t("activity.title"), body: <Activity /> };
    case "bring-over":
      return { title: t("bring_over.title"), body: <BringOver /> };
    case "export":
      return { title: t("export.title"), body: <Export /> };
    case "delete":
      return { title: t("delete.title"), body: <Delete /> };
    case "lost":
    case "lost/*":
      // Who is signed in and adds a factor has nothing to recover.
      return { title: t("security.title"), body: <Security /> };
    default:
      return { title: t("not_found.title"), body: <NotFound /> };
  }
}

function ways(path: readonly string[]): Way[] {
  const at = path[0] ?? "";
  return [
    { href: to("keys"), label: t("nav.keys"), icon: "key", here: ["", "keys", "sign-in", "sign-up", "bring-over"].includes(at) },
    { href: to("save"), label: t("nav.save"), icon: "save", here: at === "save" },
    { href: to("devices"), label: t("nav.devices"), icon: "device", here: at === "devices" },
    {
      href: to("security"),
      label: t("nav.security"),
      icon: "shield",
      here: ["security", "export", "delete", "lost"].includes(at),
    },
    { href: to("activity"), label: t("nav.activity"), icon: "activity", here: at === "activity" },
  ];
}

function AccountMenu(): JSX.Element {
  return (
    <Menu
      label={t("account.menu")}
      icon="user"
      head={<p class="small soft name">{session.value?.email}</p>}
      items={[
        { label: t("security.title"), icon: "shield", href: to("security") },
        { label: t("export.title"), icon: "download", href: to("export") },
        { label: t("sign_out"), icon: "out", onChoose: () => void vault().signOut().finally(() => leave("signed-out")) },
      ]}
    />
  );
}

export function App(): JSX.Element {
  const path = route.value;
  const now = session.value;
  const must = now?.mustAddFactor === true;
  const signedIn = now !== null && !must;
  const page: Page =
    openPage(path) ??
    (must
      ? { title: t("factors.add"), body: <AddFactor must="backup" />, narrow: true }
      : signedIn
        ? inside(path)
        : outside(path));
  return (
    <Shell
      home={to()}
      page={`${String(signedIn)}/${path.join("/")}`}
      title={page.title}
      ways={signedIn ? ways(path) : undefined}
      aside={now === null ? undefined : <AccountMenu />}
      narrow={page.narrow ?? false}
      foot={
        <>
          <a href={to("why")}>{t("foot.why")}</a>
          <a href={to("trust")}>{t("foot.trust")}</a>
          <a href="help" target="_blank" rel="noopener">
            {t("foot.help")}
          </a>
        </>
      }
    >
      {page.body}
    </Shell>
  );
}
