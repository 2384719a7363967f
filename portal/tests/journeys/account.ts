// A new account, its first key, and the key when it is needed.

import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';

import { PHONE } from '../harness/browser';
import { fixture, holds, type Key, newKey, tableOf, windowsFile } from '../harness/keys';
import { Service } from '../harness/service';
import { journey, PASSWORD, Visit } from '../harness/visit';

describe('account', () => {
  let service: Service;
  before(async () => {
    service = await Service.start();
  });
  after(() => service.end());

  journey('sign up with an authenticator, save a file of Windows with two-factor on, read the key on a phone', async () => {
    const email = 'ada@example.org';
    const key = newKey();
    const desk = await Visit.open(service);
    const { phone } = await desk.signUp(email);
    await desk.hands.follow('sign_up.done.save');
    await desk.save(windowsFile(key), 'ADA-PC');
    await desk.hands.goes('security');
    await desk.hands.sees('two_factor.on');
    await desk.look('security');
    await desk.end();

    const hand = await Visit.open(service, { look: PHONE });
    await hand.signIn(email, phone);
    await hand.hands.sees('sign_in.first_time');
    await hand.look('keys, on a phone');
    await hand.find(key);
    await hand.confirm(phone);
    assert.equal(await hand.digits(), key.password);
    await hand.look('a key, on a phone');
    await hand.hands.press('key.hide');
    await hand.hands.sees('key.hidden.again');
    assert.ok(!holds(await hand.hands.words(), key));
    await hand.hands.goes('activity');
    await hand.hands.sees('activity.action.reveal');
    await hand.hands.press('verify.action');
    await hand.hands.sees('verify.records');
    await hand.look('activity, checked');
    await hand.end();
    assert.ok(!holds(service.log, key), 'no key in the log of the service');
  });

  journey('a German file of Windows is read as well', async () => {
    const email = 'grete@example.org';
    const { phone } = await service.computer('grete').signUp(email, PASSWORD);
    const visit = await Visit.open(service, { look: { ...PHONE, language: 'de' } });
    await visit.signIn(email, phone);
    await visit.save(fixture('recovery-file-de.txt'), 'GRETE-PC');
    await visit.end();
  });

  for (const prf of [true, false]) {
    journey(`sign up with a passkey that can${prf ? '' : 'not'} open the vault`, async () => {
      const email = prf ? 'bo@example.org' : 'cy@example.org';
      const key = newKey();
      const visit = await Visit.open(service, { authenticator: prf ? 'prf' : 'plain' });
      const { hands } = visit;
      await visit.beginSignUp(email);
      await hands.press('factor.passkey.choose');
      await hands.press('factor.passkey.add');
      await hands.sees('sign_up.codes.lead');
      await hands.press('codes.make');
      await visit.keepBackupCodes();
      await hands.reaches('sign_up.done');
      await hands.follow('sign_up.done.save');
      await visit.save(windowsFile(key), 'BO-PC');
      await hands.goes('security');
      await hands.sees(prf ? 'factor.kind.passkey_vault' : 'factor.kind.passkey');
      await hands.sees('two_factor.on');

      await hands.press('sign_out');
      await hands.sees('welcome.signed_out');
      await hands.goes('sign-in');
      await hands.press('sign_in.passkey');
      if (!prf) {
        await hands.reaches('sign_in.unlock');
        await visit.look('sign-in, password after a passkey');
        await hands.type('password', PASSWORD);
        await hands.press('sign_in.action');
      }
      await hands.reaches('keys.title');
      await visit.find(key);
      if (!prf) await hands.type('confirm.password', PASSWORD);
      await hands.press('keys.show');
      assert.equal(await visit.digits(), key.password);
      await visit.end();
    });
  }

  journey('one of 500 keys is found by the 8 characters of the locked screen', async () => {
    const email = 'dee@example.org';
    const keys: Key[] = Array.from({ length: 500 }, (_, n) => newKey(`one of many, ${n}`));
    const computer = service.computer('dee');
    const { phone } = await computer.signUp(email, PASSWORD);
    await computer.finish(['keys', 'import', computer.file('keys.csv', tableOf(keys))]);
    const visit = await Visit.open(service, { look: PHONE });
    await visit.signIn(email, phone);
    await visit.page.locator('ul.rows a.line').nth(499).waitFor();
    const wanted = keys[314] as Key;
    const begun = performance.now();
    await visit.hands.type('keys.search', wanted.id.slice(0, 8));
    const found = visit.page.locator('.card.found');
    await found.waitFor();
    const took = performance.now() - begun;
    assert.match(await found.innerText(), /PC-314/);
    // The card says all of it; no other one is left.
    assert.equal(await visit.page.locator('ul.rows a.line').count(), 0);
    assert.ok(took < 2_000, `found after ${took} ms`);
    await visit.look('found among many');
    await visit.find(wanted);
    await visit.confirm(phone);
    assert.equal(await visit.digits(), wanted.password);
    await visit.end();
  });
});
