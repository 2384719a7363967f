// Every page of the account, and the states of each that look different.

import type { Hands } from '../harness/hands';

export interface Scene {
  name: string;
  /** The parts of its address. */
  path: string;
  /** State of the vault; see `sample/vault.ts`. */
  state?: string;
  /** Signed in first. */
  inside?: boolean;
  /** Leads from the page to what is to be seen. */
  steps?: (hands: Hands) => Promise<void>;
}

const RECORD = '0192f3a1-0000-7000-8000-00000000000';

export async function signIn(hands: Hands): Promise<void> {
  await hands.type('email', 'ada@example.org');
  await hands.type('password', 'correct horse battery staple');
  await hands.press('sign_in.password');
  await hands.reaches('sign_in.second');
  await hands.type('confirm.code', '123456');
}

/** Confirms with password and code; the last digit sends it. */
async function confirm(hands: Hands): Promise<void> {
  await hands.type('confirm.password', 'correct horse battery staple');
  await hands.type('confirm.code', '123456');
}

async function newPassword(hands: Hands): Promise<void> {
  await hands.type('password.new', 'correct horse battery staple');
  await hands.type('password.again', 'correct horse battery staple');
}

async function begunSignUp(hands: Hands): Promise<void> {
  await hands.type('email', 'ada@example.org');
  await hands.type('password', 'correct horse battery staple');
  await hands.type('password.again', 'correct horse battery staple');
  await hands.press('ui.next');
  await hands.reaches('sign_up.mail');
}

async function withKit(hands: Hands): Promise<void> {
  await begunSignUp(hands);
  await hands.type('mail.code', '123456');
  await hands.reaches('sign_up.kit');
}

async function withFactor(hands: Hands): Promise<void> {
  await withKit(hands);
  await hands.type('kit.check', 'VG8TLS');
  await hands.press('kit.kept');
  await hands.reaches('sign_up.factor');
}

async function withTotp(hands: Hands): Promise<void> {
  await withFactor(hands);
  await hands.press('factor.totp.choose');
  await hands.press('factor.totp.show');
  await hands.sees('factor.totp.scan');
}

async function withCodes(hands: Hands): Promise<void> {
  await withTotp(hands);
  await hands.type('factor.totp.first', '123456');
  await hands.type('factor.totp.second', '654321');
  await hands.sees('sign_up.codes.lead');
}

async function reveal(hands: Hands): Promise<void> {
  await confirm(hands);
  await hands.sees('key.here');
}

async function recover(hands: Hands): Promise<void> {
  await hands.type('email', 'ada@example.org');
  await hands.type('kit.code', 'M4KT-7QWX-9HRD-2PNB-6FJC-3YVG-8TLS');
  await newPassword(hands);
  await hands.press('ui.next');
  await hands.type('mail.code', '123456');
  await hands.reaches('sign_in.second');
}

const outside: Scene[] = [
  { name: 'welcome', path: '' },
  { name: 'sign-in', path: 'sign-in' },
  { name: 'sign-in-passkeys', path: 'sign-in', state: 'passkeys' },
  {
    name: 'sign-in-refused',
    path: 'sign-in',
    steps: async (hands) => {
      for (let tries = 0; tries < 2; tries += 1) {
        await hands.type('email', 'ada@example.org');
        await hands.type('password', 'wrong');
        await hands.press('sign_in.password');
        await hands.sees('sign_in.failed');
      }
    },
  },
  { name: 'sign-in-incomplete', path: 'sign-in', steps: (hands) => hands.press('sign_in.password') },
  {
    name: 'sign-in-second',
    path: 'sign-in',
    steps: async (hands) => {
      await hands.type('email', 'ada@example.org');
      await hands.type('password', 'correct horse battery staple');
      await hands.press('sign_in.password');
      await hands.reaches('sign_in.second');
    },
  },
  {
    name: 'sign-in-backup',
    path: 'sign-in',
    steps: async (hands) => {
      await hands.type('email', 'ada@example.org');
      await hands.type('password', 'correct horse battery staple');
      await hands.press('sign_in.password');
      await hands.press('confirm.use_backup');
    },
  },
  {
    name: 'sign-in-unlock',
    path: 'sign-in',
    state: 'passkeys',
    steps: async (hands) => {
      await hands.press('sign_in.passkey');
      await hands.reaches('sign_in.unlock');
    },
  },
  { name: 'sign-up', path: 'sign-up' },
  {
    name: 'sign-up-incomplete',
    path: 'sign-up',
    steps: async (hands) => {
      await hands.type('password', 'short');
      await hands.sees('password.score.1');
      await hands.press('ui.next');
    },
  },
  { name: 'sign-up-mail', path: 'sign-up', steps: begunSignUp },
  { name: 'sign-up-kit', path: 'sign-up', steps: withKit },
  {
    name: 'sign-up-kit-wrong',
    path: 'sign-up',
    steps: async (hands) => {
      await withKit(hands);
      await hands.type('kit.check', 'AAAAAA');
      await hands.press('kit.kept');
      await hands.sees('kit.check.wrong');
    },
  },
  { name: 'sign-up-factor', path: 'sign-up', steps: withFactor },
  { name: 'sign-up-factor-passkeys', path: 'sign-up', state: 'passkeys', steps: withFactor },
  { name: 'sign-up-totp', path: 'sign-up', steps: withTotp },
  {
    name: 'sign-up-totp-wrong',
    path: 'sign-up',
    steps: async (hands) => {
      await withTotp(hands);
      await hands.unfold('factor.totp.by_hand');
      await hands.type('factor.totp.first', '000000');
      await hands.type('factor.totp.second', '654321');
      await hands.sees('factor.totp.wrong');
    },
  },
  { name: 'sign-up-codes', path: 'sign-up', steps: withCodes },
  {
    name: 'sign-up-codes-shown',
    path: 'sign-up',
    steps: async (hands) => {
      await withCodes(hands);
      await hands.type('confirm.code', '123456');
      await hands.sees('codes.kept.check');
    },
  },
  {
    name: 'sign-up-done',
    path: 'sign-up',
    steps: async (hands) => {
      await withCodes(hands);
      await hands.press('sign_up.codes.later');
      await hands.reaches('sign_up.done');
    },
  },
  { name: 'lost', path: 'lost' },
  { name: 'lost-phone', path: 'lost/phone' },
  { name: 'lost-password', path: 'lost/password' },
  { name: 'lost-password-factor', path: 'lost/password', steps: recover },
  {
    name: 'lost-password-kit',
    path: 'lost/password',
    steps: async (hands) => {
      await recover(hands);
      await hands.type('confirm.code', '123456');
      await hands.reaches('lost.new_kit');
    },
  },
  { name: 'lost-reset', path: 'lost/reset' },
  {
    name: 'lost-reset-begun',
    path: 'lost/reset',
    steps: async (hands) => {
      await hands.type('email', 'ada@example.org');
      await hands.type('password', 'correct horse battery staple');
      await (await hands.button('reset.begin')).click();
      await hands.type('mail.code', '123456');
      await hands.reaches('reset.begun');
    },
  },
  { name: 'lost-both', path: 'lost/both' },
  { name: 'lost-all', path: 'lost/all' },
  { name: 'lost-new-keys', path: 'lost/new-keys' },
  {
    name: 'lost-new-keys-incomplete',
    path: 'lost/new-keys',
    steps: async (hands) => {
      await (await hands.button('reset.begin')).click();
      await hands.sees('renew.code.missing');
    },
  },
  { name: 'lost-new-keys-finish', path: 'lost/new-keys', steps: (hands) => hands.tick('reset.finish') },
  { name: 'cancel', path: 'cancel' },
  { name: 'why', path: 'why' },
  { name: 'trust', path: 'trust' },
];

const inside: Scene[] = [
  { name: 'keys', path: 'keys' },
  { name: 'keys-empty', path: 'keys', state: 'empty' },
  { name: 'keys-failing', path: 'keys', state: 'failing' },
  { name: 'keys-slow', path: 'keys', state: 'slow' },
  { name: 'keys-waits', path: 'keys', state: 'waits' },
  { name: 'keys-first-time', path: 'keys', state: 'first-time' },
  { name: 'keys-found', path: 'keys', steps: (hands) => hands.type('keys.search', '5f2b0a11') },
  { name: 'keys-not-found', path: 'keys', steps: (hands) => hands.type('keys.search', 'FFFF0000') },
  { name: 'key', path: `keys/${RECORD}0` },
  { name: 'key-passkeys', path: `keys/${RECORD}0`, state: 'passkeys' },
  { name: 'key-long', path: `keys/${RECORD}4` },
  { name: 'key-past', path: `keys/${RECORD}1` },
  { name: 'key-unverified', path: `keys/${RECORD}6` },
  { name: 'key-gone', path: `keys/${RECORD}9` },
  { name: 'key-shown', path: `keys/${RECORD}0`, steps: reveal },
  {
    name: 'key-large',
    path: `keys/${RECORD}0`,
    steps: async (hands) => {
      await reveal(hands);
      await hands.page.getByRole('tab', { name: hands.text('key.view.large') }).click();
    },
  },
  {
    name: 'key-aloud',
    path: `keys/${RECORD}0`,
    steps: async (hands) => {
      await reveal(hands);
      await hands.page.getByRole('tab', { name: hands.text('key.view.aloud') }).click();
    },
  },
  {
    name: 'key-hidden',
    path: `keys/${RECORD}0`,
    steps: async (hands) => {
      await reveal(hands);
      await hands.press('key.hide');
    },
  },
  {
    name: 'key-file',
    path: `keys/${RECORD}3`,
    steps: async (hands) => {
      await confirm(hands);
      await hands.sees('key.here.file');
    },
  },
  { name: 'save', path: 'save' },
  {
    name: 'save-nothing',
    path: 'save',
    steps: async (hands) => {
      await hands.type('save.paste', 'nothing');
      await hands.press('save.look');
      await hands.sees('save.not_read');
    },
  },
  {
    name: 'save-preview',
    path: 'save',
    steps: async (hands) => {
      await hands.type('save.paste', 'text');
      await hands.press('save.look');
      await hands.reaches('save.preview', { count: 6 });
    },
  },
  {
    name: 'save-saved',
    path: 'save',
    steps: async (hands) => {
      await hands.type('save.paste', 'text');
      await hands.press('save.look');
      await hands.press('save.save', { count: 3 });
      await hands.reaches('save.saved', { count: 2 });
    },
  },
  { name: 'devices', path: 'devices' },
  { name: 'devices-empty', path: 'devices', state: 'empty' },
  { name: 'device-rename', path: 'devices', steps: (hands) => hands.press('devices.rename') },
  { name: 'device-revoke', path: 'devices', steps: (hands) => hands.press('devices.revoke') },
  { name: 'enrol', path: 'devices/add' },
  {
    name: 'enrol-refused',
    path: 'devices/add',
    steps: async (hands) => {
      await hands.type('enrol.code', 'BCDF-GHJK');
      await hands.type('enrol.check', 'LMNP-QRST');
      await confirm(hands);
      await hands.sees('enrol.failed');
    },
  },
  { name: 'security', path: 'security' },
  { name: 'security-passkeys', path: 'security', state: 'passkeys' },
  { name: 'security-off', path: 'security', state: 'off' },
  { name: 'security-waits', path: 'security', state: 'waits' },
  { name: 'security-password', path: 'security', steps: (hands) => hands.press('password.change') },
  { name: 'security-remove', path: 'security', steps: (hands) => hands.press('factor.remove') },
  { name: 'security-add-factor', path: 'security', steps: (hands) => hands.press('factors.add') },
  { name: 'two-factor', path: 'security/two-factor' },
  { name: 'two-factor-waits', path: 'security/two-factor', state: 'waits' },
  { name: 'two-factor-off', path: 'security/two-factor', state: 'off' },
  {
    name: 'two-factor-turn-off',
    path: 'security/two-factor',
    steps: (hands) => hands.unfold('two_factor.turn_off.more'),
  },
  { name: 'add-factor', path: 'security/add-factor' },
  { name: 'must-add-factor', path: '', state: 'must' },
  { name: 'activity', path: 'activity' },
  {
    name: 'activity-checked',
    path: 'activity',
    steps: async (hands) => {
      await hands.press('verify.action');
      await hands.sees('verify.records');
    },
  },
  {
    name: 'activity-unsound',
    path: 'activity',
    state: 'waits',
    steps: async (hands) => {
      await hands.press('verify.action');
      await hands.sees('verify.unsound');
    },
  },
  { name: 'export', path: 'export' },
  { name: 'delete', path: 'delete' },
  { name: 'delete-runs', path: 'delete', state: 'deleting' },
  { name: 'delete-ask', path: 'delete', steps: (hands) => hands.press('delete.begin') },
  { name: 'key-deleting', path: `keys/${RECORD}0`, state: 'deleting' },
  { name: 'keys-renewed', path: 'keys', state: 'renewed' },
  { name: 'devices-renewed', path: 'devices', state: 'renewed' },
  { name: 'bring-over', path: 'bring-over' },
  { name: 'keys-many-found', path: 'keys', state: 'many', steps: (hands) => hands.type('keys.search', 'room-17') },
  { name: 'not-found', path: 'nothing/here' },
];

export const SCENES: readonly Scene[] = [...outside, ...inside.map((scene) => ({ ...scene, inside: true }))];
