// Something is lost. Each way back ends with two-factor on.

import { after, before, describe } from 'node:test';

import { PHONE } from '../harness/browser';
import { newKey, windowsFile } from '../harness/keys';
import { Service } from '../harness/service';
import { journey, PASSWORD, Visit } from '../harness/visit';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NEW_PASSWORD = 'another lantern quietly rowing';

describe('lost things', () => {
  let service: Service;
  before(async () => {
    service = await Service.start();
  });
  after(() => service.end());

  journey('the phone is lost: a backup code, then a new authenticator', async () => {
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

  journey('phone and backup codes are lost: seven days, then a new authenticator', async () => {
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
  }, { skip: clock() });

  journey('the password is lost: the kit and a code set a new one', async () => {
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

  journey('password and kit are lost: the account begins again, and the kit of before brings its key over', async () => {
    const email = 'di@example.org';
    const key = newKey();
    const desk = await Visit.open(service);
    const { phone, kit } = await desk.signUp(email);
    await desk.hands.follow('sign_up.done.save');
    await desk.save(windowsFile(key), 'DI-PC');
    const lost = async (visit: Visit, what: 'reset.begin' | 'reset.finish'): Promise<void> => {
      const { hands } = visit;
      await hands.goes('lost/all');
      await hands.follow('renew.title');
      await hands.reaches('renew.title');
      if (what === 'reset.finish') await hands.tick('reset.finish');
      await visit.look(`new keys, ${what}`);
      await hands.type('email', email);
      await hands.type('renew.code', await phone.freshCode());
      if (what === 'reset.finish') {
        await hands.type('password.new', NEW_PASSWORD);
        await hands.type('password.again', NEW_PASSWORD);
      }
      await hands.press(what);
      await hands.type('mail.code', await service.mailedCode());
    };
    const visit = await Visit.open(service, { look: PHONE });
    await lost(visit, 'reset.begin');
    await visit.hands.reaches('reset.begun');
    await visit.look('new keys, begun');
    await service.mail(/^New keys for your account were asked for$/);
    await visit.end();
    await service.passTime(7 * DAY + HOUR);

    const back = await Visit.open(service, { look: PHONE });
    const { hands } = back;
    await lost(back, 'reset.finish');
    await hands.reaches('lost.new_kit');
    await back.keepKit();
    await hands.reaches('devices.title');
    await service.mail(/^Your account has new keys$/);
    await hands.goes('security');
    await hands.sees('two_factor.on');
    await hands.goes('keys');
    await hands.sees('keys.former.lead', { count: 1 });
    await back.look('keys of before the new start');
    await hands.follow('keys.former.action');
    await hands.reaches('bring_over.title');
    await back.look('bring over');
    await hands.type('bring_over.kit', kit.toLowerCase());
    await hands.type('confirm.password', NEW_PASSWORD);
    await hands.type('confirm.code', await phone.freshCode());
    await hands.sees('bring_over.saved', { count: 1 });
    await back.look('brought over');
    await back.find(key);
    await back.end();

    // The browser that knew the account asks before it believes other keys.
    await desk.page.reload();
    const asked = desk.hands;
    await asked.goes('sign-in');
    await desk.typePassword(email, NEW_PASSWORD);
    await asked.type('confirm.code', await phone.freshCode());
    await asked.reaches('new_keys.title');
    await desk.look('new keys, asked');
    await asked.press('new_keys.other');
    await asked.sees('sign_in.failed');
    await desk.typePassword(email, NEW_PASSWORD);
    await asked.type('confirm.code', await phone.freshCode());
    await asked.reaches('new_keys.title');
    await asked.press('new_keys.same');
    await asked.reaches('keys.title');
    await desk.find(key);
    await desk.end();
  }, { skip: clock() });
});

/** A reason to skip what needs the service's clock moved. */
function clock(): string | false {
  return Service.clockMoves ? false : 'faketime is not installed';
}
