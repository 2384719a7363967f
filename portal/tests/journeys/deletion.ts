// Deleting: a key and the account, with the thirty days in which it can be cancelled.

import { describe } from 'node:test';

import { newKey, windowsFile } from '../harness/keys';
import { Service } from '../harness/service';
import { journey, PASSWORD, Visit } from '../harness/visit';

const DAY = 24 * 3_600_000;

describe('deletion', () => {
  journey('a key is deleted after thirty days, the account is kept after all', async () => {
    const email = 'ada@example.org';
    const service = await Service.start();
    const { phone } = await service.computer('ada').signUp(email, PASSWORD);
    const visit = await Visit.open(service);
    const { hands } = visit;
    const [doomed, kept] = [newKey(), newKey()];
    await visit.signIn(email, phone);
    await visit.save(windowsFile(doomed), 'DOOMED');
    await hands.goes('keys');
    await visit.save(windowsFile(kept), 'KEPT');

    await visit.find(doomed);
    await hands.press('delete.key');
    await visit.look('a key, deleting it');
    await visit.confirm(phone);
    await hands.page.getByText(hands.text('delete.begun').split('{')[0] ?? '').waitFor();
    await hands.sees('waits.cancel');
    await visit.look('a key that is to be deleted');
    await service.mail(/A saved recovery key is to be deleted/);

    await hands.goes('delete');
    await hands.reaches('delete.title');
    await hands.press('delete.begin');
    await visit.confirm(phone);
    await service.mail(/Your account is to be deleted/);
    await visit.look('the account is to be deleted');
    await hands.goes('security');
    const account = hands.page.locator('li, section, div').filter({ hasText: hands.text('waits.delete_account').split('{')[0] ?? '' });
    await account.last().getByRole('button', { name: hands.text('waits.cancel') }).click();
    await service.mail(/A delayed change was cancelled/);

    await service.passTime(31 * DAY);
    await service.mail(/A saved recovery key was deleted/);
    await hands.goes('keys');
    visit.watch.allowRefusals(401);
    await visit.typePassword(email);
    await hands.type('confirm.code', await phone.freshCode());
    await hands.reaches('keys.title');
    await visit.find(kept);
    await hands.goes('keys');
    await hands.type('keys.search', doomed.id.slice(0, 8));
    await hands.sees('keys.not_found', { typed: doomed.id.slice(0, 8) });
    await visit.end();
    await service.end();
  }, { skip: Service.clockMoves ? false : 'faketime is not installed' });
});
