// Computers that save their keys by themselves.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { PHONE } from '../harness/browser';
import { Service } from '../harness/service';
import { PASSWORD, Visit } from '../harness/visit';

describe('devices', () => {
  let service: Service;
  before(async () => {
    service = await Service.start();
  });
  after(() => service.end());

  test('a computer is enrolled by its codes, saves with two-factor on, and is revoked', async () => {
    const email = 'ada@example.org';
    const { phone } = await service.computer('ada').signUp(email, PASSWORD);
    const laptop = service.computer('laptop');
    const drive = laptop.newDrive('stick.img');
    const visit = await Visit.open(service);
    const { hands } = visit;
    await visit.signIn(email, phone);
    await hands.goes('devices/add');
    await hands.reaches('enrol.title');

    const enrolment = laptop.start(['device', 'enrol', '--by-code', '--name', 'laptop']);
    const codes = await enrolment.next();
    visit.watch.allowRefusals(400);
    await hands.type('enrol.code', codes.user_code);
    await hands.type('enrol.check', 'BCDF-GHJK' === codes.check_code ? 'CDFG-HJKL' : 'BCDF-GHJK');
    await visit.confirm(phone);
    await hands.sees('error.device.check_failed.title');
    await visit.look('enrol, wrong check code');
    await hands.type('enrol.check', codes.check_code);
    await visit.confirm(phone);
    await hands.reaches('enrol.done');
    await visit.look('enrol, done');
    await enrolment.next();
    assert.equal(await enrolment.ended(), 0);

    // Nobody is signed in on that computer, and two-factor is on.
    const saved = laptop.backup(drive);
    assert.equal(saved.status, 0, saved.stderr);
    await hands.goes('keys');
    await visit.find(drive);
    await hands.seesText('laptop');
    await visit.confirm(phone);
    assert.equal(await visit.digits(), drive.password);
    await hands.sees('key.ordered');

    await hands.goes('devices');
    await hands.press('devices.rename');
    await hands.type('devices.name', 'Workshop');
    await hands.press('devices.rename');
    await hands.seesText('Workshop');
    await hands.press('devices.revoke');
    await visit.look('devices, revoke');
    await visit.confirm(phone);
    await hands.sees('devices.none');
    await visit.end();
    const refused = laptop.backup(drive);
    assert.match(refused.stdout + refused.stderr, /device\.revoked/);
  });

  test('a computer is enrolled by its link, opened on a phone', async () => {
    const email = 'bo@example.org';
    const { phone } = await service.computer('bo').signUp(email, PASSWORD);
    const laptop = service.computer('bo-laptop');
    const out = laptop.path('link');
    const enrolment = laptop.start(['device', 'enrol', '--link', '--link-out', out, '--name', 'bo-laptop']);
    await enrolment.next();
    const link = readFileSync(out, 'utf8').trim();
    const visit = await Visit.open(service, { look: PHONE, path: link.slice(service.origin.length) });
    const { hands } = visit;
    assert.ok(!visit.page.url().includes(link.split('#')[1] ?? '?'), 'the secret is out of the address');
    await hands.reaches('sign_in.title');
    await visit.typePassword(email);
    await hands.type('confirm.code', await phone.freshCode());
    await hands.reaches('enrol.link.title');
    await visit.look('enrol by link');
    await visit.confirm(phone);
    await hands.reaches('enrol.done');
    assert.equal(await enrolment.ended(), 0);
    await visit.end();
  });
});
