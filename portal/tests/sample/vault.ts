// A vault whose answers are written down. It shows pages in states that a true vault is seldom in; that the pages do their work is
// for the journeys to show.

import type { AuditEntry, Device, FoundKey, KeyMeta, Kit, SavedKey, Vault, Wait } from '../../src/portal/vault';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** A day on which everything was some time ago. Pictures differ with the clock only where they tell a distance to now. */
const NOW = Date.now();

const LONG_PC = 'KONFERENZRAUM-NORD-PRÄSENTATIONSRECHNER-0000000000017';
const LONG_DRIVE = 'Donaudampfschifffahrtsgesellschaftsarchiv der Außenstelle';
const EMAIL = 'ada@example.org';
const FINGERPRINT = 'K7Q2-9F4M-X3HD-PW8R-2JTN';

const KIT: Kit = {
  email: EMAIL,
  server: 'https://keys.example.org',
  fingerprint: FINGERPRINT,
  code: 'M4KT-7QWX-9HRD-2PNB-6FJC-3YVG-8TLS',
};
const CODES = ['BCDF-GHJK-LMNP', 'QRST-VWXZ-BCDF', 'GHJK-LMNP-QRST', 'VWXZ-BCDF-GHJK', 'LMNP-QRST-VWXZ'].flatMap((code) => [
  code,
  [...code].reverse().join(''),
]);
const DIGITS = '015092-306504-441837-088275-529056-118316-690470-254639';

function failing(code: string): Error {
  return Object.assign(new Error(code), { code, requestId: '0192f3a1b2c3d4e5', retryAt: NOW + HOUR });
}

function key(n: number, more: Partial<Omit<SavedKey, 'meta'>> & { meta?: Partial<KeyMeta> }): SavedKey {
  const id = `${(0x5f2b0a11 + n * 0x1357_9bd).toString(16).padStart(8, '0').slice(-8)}-91C4-4D0E-A1B2-7C6D5E4F3A2B`.toUpperCase();
  const { meta, ...rest } = more;
  return {
    recordId: `0192f3a1-0000-7000-8000-${String(n).padStart(12, '0')}`,
    kind: 'bitlocker-recovery-password',
    verified: true,
    author: 'ADA-LAPTOP',
    state: 'live',
    receivedAt: NOW - n * DAY,
    former: false,
    finding: { found: 'verified', at: NOW - HOUR, by: 'ADA-LAPTOP' },
    ...rest,
    meta: {
      keyId: id,
      volumeType: 'os',
      mount: 'C:',
      label: 'Windows',
      computer: 'ADA-LAPTOP',
      os: 'Windows 11',
      method: 'XTS-AES 128',
      source: 'scan',
      ...meta,
    },
  };
}

const KEYS: SavedKey[] = [
  key(0, {}),
  key(1, { state: 'superseded', finding: { found: 'retired', at: NOW - DAY, by: 'ADA-LAPTOP' } }),
  key(2, { meta: { mount: 'D:', label: 'Fotos', volumeType: 'fixed' }, author: 'owner', finding: undefined }),
  key(3, { kind: 'bitlocker-external-key', meta: { mount: 'E:', label: '', volumeType: 'removable' } }),
  key(4, { meta: { computer: LONG_PC, label: LONG_DRIVE }, finding: { found: 'missing', at: NOW - DAY, by: LONG_PC } }),
  key(5, { meta: { computer: '', label: '', mount: '' }, author: 'owner', finding: undefined }),
  key(6, { verified: false, author: '?', finding: undefined, meta: { computer: 'UNKNOWN-PC' } }),
];

/** As many as a school has. */
const MANY: SavedKey[] = Array.from({ length: 500 }, (_, n) =>
  key(n, { receivedAt: NOW - DAY, meta: { computer: `ROOM-${String(1 + (n >> 2))}`, mount: `${'CDEF'[n & 3] ?? 'C'}:`, label: '' } }),
);

/** After a new start: what came since, and what only the kit of before opens. */
const RENEWED: SavedKey[] = [
  key(0, {}),
  ...[1, 2].map((n) => ({ ...key(n, { former: true, author: LONG_PC, finding: undefined }), meta: undefined })),
];

const DEVICES: Device[] = [
  device('ADA-LAPTOP', {}),
  device(LONG_PC, { gaps: [4, 7], openOrders: 1, seenAt: NOW - 40 * DAY }),
  device('OLD-PC', { state: 'revoked', revokedAt: NOW - 90 * DAY }),
];

function device(name: string, more: Partial<Device>): Device {
  return {
    deviceId: `device-${name}`,
    name,
    enrolledName: name,
    capability: 'records.append',
    state: 'active',
    lastSeq: 12,
    issuedAt: NOW - 100 * DAY,
    seenAt: NOW - 3 * HOUR,
    gaps: [],
    openOrders: 0,
    verified: true,
    former: false,
    ...more,
  };
}

const ACTIONS = ['signup', 'factor_added', 'device_enrolled', 'save', 'login_failed', 'login', 'stepup', 'reveal', 'rotate_ordered', 'save'];
const TRAIL: AuditEntry[] = Array.from({ length: 60 }, (_, n) => ({
  seq: n + 1,
  at: NOW - (60 - n) * 5 * HOUR,
  actor: { kind: n % 3 === 0 ? 'device' : 'owner', id: '0192f3a1' },
  action: ACTIONS[n % ACTIONS.length] ?? 'save',
  target: '0192f3a1-0000-7000-8000-000000000001',
  outcome: n % ACTIONS.length === 4 ? 'refused' : 'done',
  reason: n % ACTIONS.length === 7 ? 'tpm_reset' : undefined,
  net: '192.0.2.0/24',
  client: 'keyhaven 0.1.0 (Windows)',
}));

const WAITS: Wait[] = [
  { waitId: 'w1', kind: 'two-factor-off', begunAt: NOW - HOUR, begunBy: 'owner', dueAt: NOW + 23 * HOUR },
  { waitId: 'w2', kind: 'factor-reset', begunAt: NOW - DAY, begunBy: 'owner', dueAt: NOW + 6 * DAY },
];

const DELETIONS: Wait[] = [
  { waitId: 'w3', kind: 'delete-record', target: KEYS[0]?.recordId, begunAt: NOW - DAY, begunBy: 'owner', dueAt: NOW + 29 * DAY },
  { waitId: 'w4', kind: 'delete-account', begunAt: NOW - DAY, begunBy: 'owner', dueAt: NOW + 29 * DAY },
];

function found(index: number, more: Partial<FoundKey>): FoundKey {
  const keyId = KEYS[index]?.meta?.keyId ?? '';
  return { index, fate: 'save', keyId, computer: '', drive: 'C:', label: '', kind: 'recovery-password', place: `line ${index + 3}`, ...more };
}

/** The rows of a read file, good and bad. */
const FOUND: FoundKey[] = [
  found(0, {}),
  found(1, { fate: 'known', computer: 'ADA-LAPTOP', label: 'Windows' }),
  found(2, { fate: 'refused', wrongGroup: 5 }),
  found(3, { fate: 'refused', why: 'no_key_id', keyId: '' }),
  found(4, { computer: LONG_PC, label: LONG_DRIVE }),
  found(5, { kind: 'external-key', label: 'USB' }),
];

/** A chequered square in place of a QR code: what it says does not matter for the looks of the page. */
const QR = { size: 33, bits: Array.from({ length: 33 * 33 }, (_, n) => (n * 7919) % 13 < 6) };

/**
 * The vault in a state: `empty` (nothing saved), `failing` (the service does not answer), `slow` (nothing comes), `off` (two-factor
 * off), `waits` (delays run), `passkeys`, `renewed` (after a new start), else all is well.
 */
export function sample(state: string): Vault {
  const answer = <T>(value: T): Promise<T> => {
    if (state === 'slow') return new Promise(() => undefined);
    return state === 'failing' ? Promise.reject(failing('server.busy')) : Promise.resolve(value);
  };
  const refuse = (code: string) => Promise.reject(failing(code));
  const twoFactor = state !== 'off';
  const passkeys = state === 'passkeys' || state === 'first-time';
  let signedIn = false;
  return {
    service: () => Promise.resolve({ origin: KIT.server, passkeys }),
    known: () => Promise.resolve(null),
    strength: (password) => Promise.resolve({ score: password.length < 8 ? 1 : password.length < 20 ? 3 : 4 }),
    qr: () => Promise.resolve(QR),
    signUp: async ({ invite }, asks) => {
      if (invite === 'refused') throw failing('signup.email_taken');
      if ((await asks.mailedCode()) === null) throw failing('page.cancelled');
      if (!(await asks.keepKit(KIT))) throw failing('page.cancelled');
      signedIn = true;
    },
    signIn: async (email, password, asks) => {
      if (password === 'wrong') throw failing('auth.invalid');
      if ((await asks.factor(['totp', 'passkey', 'backup-code'])) === null) throw failing('page.cancelled');
      return { email, fingerprint: FINGERPRINT, knownBefore: state !== 'first-time', mustAddFactor: state === 'must' };
    },
    signInWithPasskey: async (asks) => {
      if ((await asks.password(EMAIL)) === null) throw failing('page.cancelled');
      return { email: EMAIL, fingerprint: FINGERPRINT, knownBefore: true, mustAddFactor: false };
    },
    signOut: () => Promise.resolve(),
    account: () =>
      Promise.resolve({
        email: EMAIL,
        fingerprint: FINGERPRINT,
        twoFactor,
        offAt: state === 'waits' ? NOW + 23 * HOUR : undefined,
        createdAt: NOW - 200 * DAY,
      }),
    factorList: () =>
      Promise.resolve({
        factors: twoFactor
          ? [
              { factorId: 'f1', kind: 'totp', label: 'Phone', createdAt: NOW - 200 * DAY, usedAt: NOW - HOUR },
              ...(passkeys
                ? [{ factorId: 'f2', kind: 'passkey', label: `Schlüsselbund von ${LONG_PC}`, createdAt: NOW - DAY, opensVault: false }]
                : []),
            ]
          : [],
        backupCodesLeft: twoFactor ? 2 : 0,
        addNeedsStepUp: twoFactor && !signedIn,
      }),
    addTotp: async (_label, _confirm, asks) => {
      const totp = { uri: 'otpauth://totp/Keyhaven:ada@example.org?secret=JBSWY3DPEHPK3PXP', secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP' };
      for (let wrong: unknown = null; ; wrong = failing('factor.code_wrong')) {
        const codes = await asks.codes(totp, wrong);
        if (codes === null) throw failing('page.cancelled');
        if (codes[0] !== '000000') return;
      }
    },
    addPasskey: () => Promise.resolve({ factorId: 'f2' }),
    letPasskeyOpenVault: () => refuse('factor.prf_unavailable'),
    removeFactor: () => refuse('factor.last_one'),
    makeBackupCodes: async (_confirm, asks) => {
      await asks.keep(CODES);
    },
    replaceKit: async (_confirm, asks) => {
      await asks.keepKit(KIT);
    },
    changePassword: () => refuse('factor.code_used'),
    beginTwoFactorOff: () => Promise.resolve(WAITS[0] as Wait),
    waits: () => Promise.resolve(state === 'waits' ? WAITS : state === 'deleting' ? DELETIONS : []),
    deleteRecord: () => Promise.resolve(DELETIONS[0] as Wait),
    deleteAccount: () => refuse('stepup.grant_used'),
    startOver: async (_lost, begin, asks) => {
      if ((await asks.mailedCode()) === null) throw failing('page.cancelled');
      return begin ? { kind: 'waiting', dueAt: NOW + 14 * DAY, secondFactor: false } : { kind: 'done', fingerprint: FINGERPRINT, mustAddFactor: true };
    },
    bringOver: () => Promise.resolve({ saved: 2, waiting: 0, known: 1, unreadable: 1, left: 0 }),
    cancelWait: () => Promise.resolve(),
    cancelWaitWithCode: () => Promise.resolve(),
    records: () => answer(state === 'empty' ? [] : state === 'many' ? MANY : state === 'renewed' ? RENEWED : KEYS),
    reveal: (recordId, _reason, _confirm, afterwards) => {
      const saved = KEYS.find((one) => one.recordId === recordId);
      if (saved?.meta === undefined) return refuse('record.not_found');
      if (saved.kind === 'bitlocker-external-key')
        return Promise.resolve({ meta: saved.meta, file: { name: `${saved.meta.keyId}.BEK`, bytes: new Uint8Array(156) } });
      return Promise.resolve({ meta: saved.meta, digits: DIGITS, ordered: afterwards === 'rotate' ? { yes: true } : undefined });
    },
    readKeys: (input) =>
      Promise.resolve({ handle: 'h', format: 'text', rows: input === 'nothing' ? [] : FOUND }),
    saveKeys: (_handle, indexes) =>
      Promise.resolve(
        indexes.map((index, n) =>
          n === 1
            ? { index, saved: false, failure: failing('server.busy') }
            : { index, saved: true, receipt: { recordId: KEYS[index]?.recordId ?? '', auditSeq: 61 + n, committedAt: NOW } },
        ),
      ),
    exportKeys: () => Promise.resolve({ name: 'keyhaven-keys.age', bytes: new Uint8Array(9000), keys: KEYS.length }),
    devices: () =>
      answer(state === 'empty' ? [] : state === 'renewed' ? DEVICES.map((one, n) => ({ ...one, former: n === 1 })) : DEVICES),
    approveDevice: () => refuse('device.check_failed'),
    approveLink: () => Promise.resolve('device'),
    renameDevice: () => Promise.resolve(),
    revokeDevice: () => Promise.resolve(),
    auditTrail: () => answer(TRAIL),
    auditVerify: () =>
      Promise.resolve(
        state === 'waits'
          ? {
              entries: 60,
              receipts: 7,
              records: 7,
              reveals: 6,
              remembered: 5,
              logged: 58,
              pending: 2,
              logSize: 12_345,
              firstBadEntry: 17,
              problems: ['entry 17 does not follow entry 16', 'a key was shown that this browser remembers, and no entry tells of it'],
            }
          : {
              entries: 60,
              receipts: 7,
              records: 7,
              reveals: 6,
              remembered: 5,
              logged: 58,
              pending: 2,
              logSize: 12_345,
              problems: [],
              serviceFingerprint: FINGERPRINT,
            },
      ),
    auditExport: () => Promise.resolve(new Uint8Array(100)),
    recoverPassword: async (_lost, asks) => {
      if ((await asks.mailedCode()) === null) throw failing('page.cancelled');
      if ((await asks.factor(null)) === null) throw failing('page.cancelled');
      if (!(await asks.keepKit(KIT))) throw failing('page.cancelled');
    },
    resetFactors: async (_email, _left, begin, asks) => {
      if ((await asks.mailedCode()) === null) throw failing('page.cancelled');
      return begin ? NOW + 7 * DAY : null;
    },
  };
}
