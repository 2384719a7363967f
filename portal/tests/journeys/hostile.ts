// A service that lies, and one that is reached under a path.

import assert from 'node:assert/strict';
import { describe } from 'node:test';

import type { Authenticator } from '../harness/authenticator';
import { type Between, Proxy } from '../harness/between';
import { newKey, windowsFile } from '../harness/keys';
import { freePort, Service } from '../harness/service';
import { journey, Visit } from '../harness/visit';

async function behind(between: Omit<Between, 'port'>): Promise<{ service: Service; proxy: Proxy; between: Omit<Between, 'port'> }> {
  const publicPort = await freePort();
  const service = await Service.start({ publicPort });
  const state = { ...between };
  const proxy = await Proxy.start(publicPort, () => ({ port: service.port, ...state }));
  return { service, proxy, between: state };
}

async function signedUp(service: Service, email: string): Promise<{ phone: Authenticator }> {
  const visit = await Visit.open(service);
  const { phone } = await visit.signUp(email);
  await visit.end();
  return { phone };
}

describe('what stands between', () => {
  journey('a service that swaps the key of the account is refused, and says so', async () => {
    const { service, proxy, between } = await behind({});
    const email = 'ada@example.org';
    // In browsers: a program that is waited for would wait for the proxy, which is in this process.
    const { phone } = await signedUp(service, email);
    const mallory = await signedUp(service, 'mallory@example.org');
    let stolen: unknown;
    between.alter = (path, answer) => {
      if (path === '/v1/login/factor' && 'key_statement' in answer) stolen = answer.key_statement;
      return answer;
    };
    const first = await Visit.open(service);
    await first.signIn('mallory@example.org', mallory.phone);
    await first.end();
    assert.ok(stolen !== undefined, 'the canary: the statement comes with the sign-in');

    between.alter = (path, answer) => (path === '/v1/login/factor' ? { ...answer, key_statement: stolen } : answer);
    const visit = await Visit.open(service);
    const { hands } = visit;
    await hands.goes('sign-in');
    await visit.typePassword(email);
    await hands.type('confirm.code', await phone.freshCode());
    await hands.sees('sign_in.failed');
    const words = await hands.words();
    assert.match(words, /device\.account_key_mismatch|reveal\.slot_failed|record\.unverified/);
    await visit.look('refused');
    await hands.goes('keys');
    await hands.reaches('sign_in.title');
    await visit.end();
    proxy.end();
    await service.end();
  });

  journey('the pages work under a path of a proxy', async () => {
    const { service, proxy, between } = await behind({});
    const email = 'bo@example.org';
    const { phone } = await signedUp(service, email);
    between.path = '/some/path/';
    const visit = await Visit.open(service, { path: '/some/path/' });
    await visit.signIn(email, phone);
    await visit.save(windowsFile(newKey()), 'BO-PC');
    await visit.end();
    proxy.end();
    await service.end();
  });
});
