// A person signs in at a gateway by a foreign provider and signs out at both: `node goodbye.mjs JSON`, with the gateway's url,
// the provider's name and issuer, and the person's login. Prints each address that the browser asked for, and fails with
// what a policy refused.
import assert from 'node:assert/strict';
import { launch } from './browser.mjs';

const given = JSON.parse(process.argv[2]);
const b = await launch({ users: [] });
try {
  const page = await b.open(null);
  const asked = [];
  page.on('request', (r) => asked.push(r.url()));
  await page.goto(`${given.url}/login/${given.provider}?next=/app`);
  await page.fill('[name=login]', given.login);
  await page.fill('[name=password]', 'any');
  await page.press('[name=password]', 'Enter');
  await page.waitForURL(`${given.url}/app`);
  const to = await page.evaluate(async () => {
    const r = await fetch('/logout', { method: 'POST', headers: { Accept: 'application/json' } });
    return (await r.json()).redirect;
  });
  await page.goto(to);
  assert.equal(await page.locator('h1').count(), 1);
  await page.locator('form button').click();
  await page.waitForURL(`${given.issuer}/session/end`);
  await page.locator('[name=logout]').click();
  await page.waitForURL(`${given.url}/signin`);
  await page.goto(`${given.url}/login/${given.provider}`);
  assert.equal(await page.locator('[name=login]').count(), 1, 'the provider still knows the person');
  assert.deepEqual(b.faults, []);
  for (const address of asked) console.log(address);
} finally {
  await b.close();
}
