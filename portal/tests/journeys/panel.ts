// The control panel: a drive is encrypted where it lies, its key saved with two-factor on, its files read, and everything undone.

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { describe } from 'node:test';

import { DESKTOP, type Look, PHONE } from '../harness/browser';
import { Panel, type PanelHands, PanelVisit, plainImage, readPlain, sha256 } from '../harness/panel';
import { Service } from '../harness/service';
import { journey, PASSWORD, Visit } from '../harness/visit';

const DRIVE_PASSWORD = 'a password of the drive';
const NEW_PASSWORD = 'another one of the drive';

describe('panel', () => {
  for (const language of ['en', 'de'] as const) {
    const look: Look = { ...DESKTOP, language };
    journey(`a drive is encrypted, saved to the account with two-factor on, browsed and decrypted (${language})`, async () => {
      const service = await Service.start();
      const { phone } = await service.computer('ada').signUp('ada@example.org', PASSWORD);
      const laptop = service.computer('laptop');
      const plain = plainImage(laptop, 'stick.img', 700);
      const panel = await Panel.start(laptop);
      const at = await panel.open(service, look);
      const { hands } = at;
      await hands.reaches('title');
      await hands.sees('drives.empty');
      await at.look('no-drives');
      await choose(at, plain.image);

      // Nothing begins before the key is saved.
      await hands.follow('turn_on');
      await hands.type('password.optional', DRIVE_PASSWORD);
      await at.look('turn-on');
      await hands.press('next');
      await hands.reaches('key.title');
      const begin = await hands.button('key.go.encrypt');
      assert.equal(await begin.getAttribute('aria-disabled'), 'true');
      await at.look('key');
      await connect(at, service, async (link) => {
        const owner = await Visit.open(service, { look: PHONE, path: link.slice(service.origin.length) });
        await owner.typePassword('ada@example.org');
        await owner.hands.type('confirm.code', await phone.freshCode());
        await owner.hands.reaches('enrol.link.title');
        await owner.confirm(phone);
        await owner.hands.reaches('enrol.done');
        await owner.end();
      });
      await hands.press('key.account');
      await hands.page.getByText(hands.text('key.account.done').split('{')[0] ?? '').waitFor();
      assert.ok(!/because two-factor/i.test(await hands.words()));
      await hands.press('key.show');
      await hands.page.locator('ol.key .digits').first().waitFor();
      const digits = (await hands.page.locator('ol.key .digits').allInnerTexts()).join('-');
      assert.match(digits, /^\d{6}(-\d{6}){7}$/);
      const keyId = await hands.page.locator('main code').first().innerText();
      await hands.press('key.hide');
      await at.look('key-saved');
      await hands.press('key.go.encrypt');

      const again = language === 'en' ? await paused(at, panel, service, look) : await killed(at, panel, service, look);
      await (await again.hands.button('job.show')).waitFor({ timeout: 120_000 });
      await again.look('work-done');
      await again.hands.press('job.show');
      await again.hands.page.getByText(again.hands.text('state.encrypted'), { exact: true }).waitFor();
      await again.look('drive-locked');
      await useIt(again, plain.content, digits);
      await changeKeys(again, laptop.path('keys'));
      await decrypt(again);
      await again.end();
      await panel.stop();
      assert.equal(sha256(readPlain(laptop, plain.image)), sha256(plain.content));

      // The account has the key that opened the drive.
      const owner = await Visit.open(service);
      await owner.signIn('ada@example.org', phone);
      await owner.find({ id: keyId, password: digits });
      await owner.confirm(phone);
      assert.equal(await owner.digits(), digits);
      await owner.end();
      assert.ok(!service.log.includes(digits));
      await service.end();
    });
  }

  journey('a new encrypted image is made once its key is saved to a file', async () => {
    const service = await Service.start();
    const laptop = service.computer('laptop');
    const panel = await Panel.start(laptop);
    const at = await panel.open(service, { ...DESKTOP, language: 'en' });
    const { hands } = at;
    const keys = laptop.path('keys');
    mkdirSync(keys);
    await hands.follow('drives.create');
    await hands.reaches('drives.create');
    await hands.type('create.path', laptop.path('safe.img'));
    await hands.type('create.size', '64');
    await hands.type('create.label', 'SAFE');
    await at.look('create');
    await hands.press('next');
    await hands.reaches('key.title');
    await hands.press('key.file');
    await hands.type('choose.path', keys);
    await at.look('key-file');
    await hands.press('key.file');
    await hands.page.getByText(hands.text('key.file.done').split('{')[0] ?? '').waitFor();
    assert.equal(readdirSync(keys).length, 1);
    await hands.press('key.go.create');
    await hands.page.getByRole('link', { name: /safe/i }).click();
    const secret = /\d{6}(-\d{6}){7}/.exec(readFileSync(`${keys}/${readdirSync(keys)[0] ?? ''}`, 'utf8').replaceAll('\0', ''))?.[0];
    await hands.type('unlock.recovery.field', secret ?? '');
    await hands.press('unlock');
    await hands.follow('browse');
    await hands.sees('files.empty');
    await at.look('files-empty');
    await at.end();
    await panel.stop();
    await service.end();
  });
});

/** Takes an image into the list and opens it. */
async function choose(at: PanelVisit, image: string): Promise<void> {
  const { hands } = at;
  await hands.follow('drives.choose');
  await hands.reaches('choose.title');
  await hands.type('choose.path', image);
  await at.look('choose');
  await hands.press('choose.use');
  await hands.reaches('title');
  await at.look('drives');
  await hands.page.getByRole('link', { name: /STICK|stick/ }).click();
  await hands.sees('state.plain');
  await at.look('drive-plain');
}

/** Connects the computer by the link that `owner` opens where they are signed in. */
async function connect(at: PanelVisit, service: Service, owner: (link: string) => Promise<void>): Promise<void> {
  const { hands } = at;
  await hands.type('enrol.server', service.origin);
  await hands.press('enrol.start');
  const link = await hands.page.getByRole('link', { name: hands.text('enrol.link'), exact: true }).getAttribute('href');
  await hands.page.getByRole('img', { name: hands.text('enrol.picture') }).waitFor();
  await at.look('connect');
  await owner(link ?? '');
  await hands.button('key.account').then((button) => button.waitFor({ timeout: 20_000 }));
}

/** It pauses, the page is closed, and it goes on behind another link. */
async function paused(at: PanelVisit, panel: Panel, service: Service, look: Look): Promise<PanelVisit> {
  await at.hands.press('job.pause');
  await at.hands.seesText(at.hands.text('job.paused.text'));
  await at.look('paused');
  await at.end();
  panel.another();
  const again = await panel.open(service, look);
  await open(again.hands);
  await again.hands.seesText(again.hands.text('job.paused.text'));
  await again.hands.press('go_on');
  return again;
}

/** The program is killed in the middle; it goes on once what opens the drive is given again. */
async function killed(at: PanelVisit, panel: Panel, service: Service, look: Look): Promise<PanelVisit> {
  await at.hands.seesText('%');
  await at.hands.page.waitForFunction(() => /[1-9]\d? %/.test(document.body.innerText));
  await panel.kill();
  at.visit.watch.forget();
  await at.visit.leave();
  await panel.run();
  const again = await panel.open(service, look);
  await open(again.hands);
  await again.hands.sees('go_on.text');
  await again.look('interrupted');
  await again.hands.type('unlock.password.field', DRIVE_PASSWORD);
  await again.hands.press('go_on');
  return again;
}

async function open(hands: PanelHands): Promise<void> {
  await hands.reaches('title');
  await hands.page.getByRole('link', { name: /stick/i }).click();
}

/** Unlocks it, and reads file and folder. */
async function useIt(at: PanelVisit, content: Buffer, digits: string): Promise<void> {
  const { hands } = at;
  at.visit.watch.allowRefusals(409, 403, 422, 400);
  await hands.type('unlock.password.field', 'not its password');
  await hands.press('unlock');
  await hands.sees('error.drive.wrong_key');
  await at.look('wrong-key');
  await hands.type('unlock.password.field', DRIVE_PASSWORD);
  await hands.press('unlock');
  await hands.sees('browse');
  await at.look('drive-unlocked');
  await hands.follow('browse');
  await hands.page.getByRole('link', { name: 'Folder' }).click();
  await at.look('files');
  const file = await hands.saves(() => hands.press('files.download', { name: 'holiday.bin' }));
  assert.equal(sha256(readFileSync(await file.path())), sha256(content));
  const folder = await hands.saves(() => hands.press('files.download.folder'));
  assert.ok(readFileSync(await folder.path()).includes(content), 'a folder is an archive of what is in it');
  assert.ok(!(await hands.words()).includes(digits));
  await hands.page.goBack();
  await hands.page.goBack();
}

async function changeKeys(at: PanelVisit, keys: string): Promise<void> {
  const { hands } = at;
  mkdirSync(keys);
  await hands.press('password');
  await hands.type('password.new', NEW_PASSWORD);
  await hands.page.locator('form').getByRole('button', { name: hands.text('password'), exact: true }).click();
  // What opened it is gone: it is unlocked with the new one.
  await hands.type('unlock.password.field', NEW_PASSWORD);
  await hands.press('unlock');
  await hands.press('key_file.add');
  await hands.type('choose.path', keys);
  await hands.press('key_file.make');
  await hands.page.getByText(hands.text('key_file.made').split('{')[0] ?? '').waitFor();
  await hands.press('suspend');
  await at.look('suspend');
  await hands.press('suspend');
  await hands.sees('state.suspended');
  await hands.press('unsuspend');
  await hands.sees('state.encrypted');
  await hands.press('lock');
  await hands.page.getByRole('radio', { name: hands.text('unlock.key_file') }).check();
  await at.look('unlock-key-file');
  const [name = ''] = readdirSync(keys);
  await hands.drop({ name, bytes: readFileSync(`${keys}/${name}`) });
  await hands.seesText(name);
  await hands.press('unlock');
  await hands.sees('browse');
}

async function decrypt(at: PanelVisit): Promise<void> {
  const { hands } = at;
  await hands.press('turn_off');
  await at.look('turn-off');
  await hands.press('turn_off');
  await (await hands.button('job.show')).waitFor({ timeout: 120_000 });
  await hands.press('job.show');
  await hands.page.getByText(hands.text('state.plain'), { exact: true }).waitFor();
}
