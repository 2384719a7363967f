// Something is lost. Each way back ends with two-factor on.

import { after, before, describe, test } from 'node:test';

import { PHONE } from '../harness/browser';
import { newKey, windowsFile } from '../harness/keys';
import { Service } from '../harness/service';
import { PASSWORD, Visit } from '../harness/visit';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NEW_PASSWORD = 'another lantern quietly rowing';

describe('lost things', () => {
  let service: Service;
  before(async () => {
    service = await Service.start();
  });
  after(() => service.end());

  test('the phone is lost: a backup code, then a new authenticator', async () => {
    const email = 'ada@example.org';
    const desk = await Visit.open(service);
    const { codes } = await desk.signUp(email);
    await desk.end();
    const visit = await Visit.open(service, { look: PHONE });
    const { hands } = visit;
    await hands.follow('welcome.lost');
    await hands.follow('lost.phone');
    await hands.reaches('lost.phone');
    await visit.look('lost, phone');
    await hands.follow('lost.phone.backup.action');
    await visit.typePassword(email);
    await hands.press('confirm.use_backup');
    await hands.type('confirm.backup', codes[3] ?? '');
    await hands.press('sign_in.action');
    await hands.reaches('factors.add');
    await visit.look('a factor has to be added');
    const phone = await visit.addPhone();
    await hands.reaches('factors.added.title');
    await hands.goes('security');
    await hands.sees('two_factor.on');
    await visit.end();
    const again = await Visit.open(service, { look: PHONE });
    await again.signIn(email, phone);
    await again.end();
  });

  test('phone and backup codes are lost: seven days, then a new authenticator', { skip: clock() }, async () => {
    const email = 'bo@example.org';
    await service.computer('bo').signUp(email, PASSWORD);
    const visit = await Visit.open(service);
    const { hands } = visit;
    await hands.goes('lost/reset');
    await hands.type('email', email);
    await hands.type('password', PASSWORD);
    await hands.press('reset.begin');
    await hands.reaches('sign_up.mail');
    await hands.type('mail.code', await service.mailedCode());
    await hands.reaches('reset.begun');
    await visit.look('reset, begun');
    await service.mail(/reset of your second factors was begun/);
    await service.passTime(7 * DAY + HOUR);
    await visit.end();
    const back = await Visit.open(service);
    await back.hands.goes('lost/reset');
    await back.hands.tick('reset.finish');
    await back.hands.type('email', email);
    await back.hands.type('password', PASSWORD);
    await back.hands.press('reset.finish');
    await back.hands.type('mail.code', await service.mailedCode());
    await back.hands.reaches('factors.add');
    await back.addPhone();
    await back.hands.reaches('factors.added.title');
    await back.hands.goes('security');
    await back.hands.sees('two_factor.on');
    await back.end();
  });

  test('the password is lost: the kit and a code set a new one', async () => {
    const email = 'cy@example.org';
    const key = newKey();
    const desk = await Visit.open(service);
    const { phone, kit } = await desk.signUp(email);
    await desk.hands.follow('sign_up.done.save');
    await desk.save(windowsFile(key), 'CY-PC');
    await desk.end();
    const visit = await Visit.open(service, { look: PHONE });
    const { hands } = visit;
    await hands.goes('lost/password');
    await visit.look('lost, password');
    await hands.type('email', email);
    await hands.type('kit.code', kit.toLowerCase());
    await hands.type('password.new', NEW_PASSWORD);
    await hands.type('password.again', NEW_PASSWORD);
    await hands.press('ui.next');
    await hands.type('mail.code', await service.mailedCode());
    await hands.reaches('sign_in.second');
    await hands.type('confirm.code', await phone.freshCode());
    await hands.reaches('lost.new_kit');
    await visit.keepKit();
    await hands.reaches('lost.password.done');
    await visit.look('lost, password set');
    await visit.signIn(email, phone, NEW_PASSWORD);
    await hands.sees('keys.saved');
    await hands.goes('security');
    await hands.sees('two_factor.on');
    await visit.end();
  });
});

/** A reason to skip what needs the service's clock moved. */
function clock(): string | false {
  return Service.clockMoves ? false : 'faketime is not installed';
}
