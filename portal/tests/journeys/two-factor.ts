// Two-factor off and on: with its delay, and with saving that does not care.

import { describe } from 'node:test';

import { newKey, windowsFile } from '../harness/keys';
import { Service } from '../harness/service';
import { journey, PASSWORD, Visit } from '../harness/visit';

const HOUR = 3_600_000;

describe('two-factor', () => {
  journey('off is announced, cancelled, begun again and done; saving ends in "Saved" each time; then it is on again', async () => {
    const email = 'ada@example.org';
    const service = await Service.start();
    const { phone } = await service.computer('ada').signUp(email, PASSWORD);
    const visit = await Visit.open(service);
    const { hands } = visit;
    const begin = async (): Promise<void> => {
      await hands.goes('security/two-factor');
      await hands.sees('two_factor.truth');
      await hands.unfold('two_factor.turn_off.more');
      await hands.press('two_factor.turn_off');
      await visit.look('two-factor, turn off');
      await visit.confirm(phone);
      await hands.page.getByText(hands.text('two_factor.begun').split('{')[0] ?? '').waitFor();
      // Until the notice is out, the delay does not count: the clock must not be moved before.
      await service.mail(/will stop asking/);
      await visit.look('two-factor, delay runs');
    };
    await visit.signIn(email, phone);
    await visit.save(windowsFile(newKey()), 'BEFORE');
    await begin();
    await visit.save(windowsFile(newKey()), 'MEANWHILE');
    await hands.goes('security');
    await hands.press('waits.cancel');
    await hands.sees('two_factor.on.lead');
    await service.mail(/was cancelled/);

    await begin();
    await service.passTime(25 * HOUR);
    // The session has ended long ago; the service carries the change out when its time is come.
    await service.mail(/does not ask for a second factor any more/);
    await hands.goes('keys');
    visit.watch.allowRefusals(401);
    await hands.sees('sign_in.expired');
    await visit.typePassword(email);
    await hands.reaches('keys.title');
    await hands.goes('security');
    await hands.sees('two_factor.is_off');
    await visit.look('security, two-factor off');
    await visit.save(windowsFile(newKey()), 'AFTERWARDS');

    await hands.goes('security/add-factor');
    await hands.reaches('factors.add');
    await hands.press('factor.totp.choose');
    await hands.type('confirm.password', PASSWORD);
    await hands.press('ui.next');
    await hands.type('mail.code', await service.mailedCode());
    const next = await visit.scan();
    await hands.reaches('factors.added.title');
    await hands.goes('security');
    await hands.sees('two_factor.on');
    await visit.save(windowsFile(newKey()), 'ON-AGAIN');
    await visit.end();
    const again = await Visit.open(service);
    await again.signIn(email, next);
    await again.end();
    await service.end();
  }, { skip: Service.clockMoves ? false : 'faketime is not installed' });
});
