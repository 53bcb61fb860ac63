// A rule wants a second factor of the last 30 s. A person whose factor is older is refused, signs in again with a code of their
// authenticator, comes back to the same page, and opens the terminal. `node stepup.mjs JSON`: url, device, login, and a user with
// name, password and the secret of the authenticator (RFC 6238) in base32. The certificate need not be trusted.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { launch, shot, shows } from './browser.mjs';

const { url, device, login, user } = JSON.parse(process.argv[2]);

const stepNow = () => Math.floor(Date.now() / 30_000);
let used = 0; // a code counts once

/** Waits for a code that was not used yet. */
async function code() {
  while (stepNow() <= used) await new Promise((done) => setTimeout(done, 200));
  used = stepNow();
  let bits = '';
  for (const c of user.secret) bits += 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0');
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const message = Buffer.alloc(8);
  message.writeBigUInt64BE(BigInt(used));
  const mac = createHmac('sha1', key).update(message).digest();
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1e6).padStart(6, '0');
}

async function signIn(page) {
  await page.fill('[name=username]', user.name);
  await page.fill('[name=password]', user.password);
  await page.press('[name=password]', 'Enter');
  await page.waitForSelector('[name=code]');
  await page.fill('[name=code]', await code());
  await page.press('[name=code]', 'Enter');
  await page.waitForSelector('#purpose');
}

const b = await launch({ url, users: [] });
try {
  const page = await b.open(null, { ignoreHTTPSErrors: true });
  const address = `${url}/live/new?device=${device}&login=${login}`;
  await page.goto(`${url}/signin?next=${encodeURIComponent(address.slice(url.length))}`);
  await page.locator('main a.btn').first().click();
  await signIn(page);
  await page.waitForTimeout(31_000);
  await page.fill('#purpose', 'Step-up test');
  await page.press('#purpose', 'Enter');
  await page.waitForSelector('#step-up');
  await shot(page, 'stepup');
  await page.click('#step-up');
  await page.waitForSelector('[name=username], [name=password]');
  await signIn(page);
  assert.ok(page.url().startsWith(address), `the person is not where they were, but at ${page.url()}`);
  assert.equal(await page.inputValue('#purpose'), 'Step-up test', 'the reason has to be typed again');
  await page.press('#purpose', 'Enter');
  await page.waitForSelector('#recorded.rec');
  await shows(page, /[$#] ?$/m);
  await page.keyboard.type('echo in$((40+2))out\n');
  await shows(page, 'in42out');
  assert.deepEqual(b.faults, []);
} finally {
  await b.close();
}
