// A person requests access in the browser; an approver, who is not signed in, follows the link of the mail, approves less, and the
// person opens the terminal. `node mail.mjs JSON`: url, users (who asks, who approves), device, login, and link: a file that will
// have the link of the mail. The certificate need not be trusted.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { launch, shows } from './browser.mjs';

const gw = JSON.parse(process.argv[2]);
const [asks, approves] = gw.users;
const b = await launch(gw);
try {
  const page = await b.open(null, { ignoreHTTPSErrors: true });
  await b.signIn(page, asks.name);
  await page.goto(`${gw.url}/machines/${gw.device}`);
  await page.getByRole('button', { name: 'Request access…' }).click();
  await page.fill('#ask-reason', 'look at the pump');
  await page.getByRole('button', { name: 'Send request' }).click();
  await page.waitForURL('**/requests/*');
  await page.waitForSelector('text=pending');

  for (const end = Date.now() + 60_000; !existsSync(gw.link); ) {
    assert.ok(Date.now() < end, 'no mail came');
    await new Promise((done) => setTimeout(done, 100));
  }
  const link = readFileSync(gw.link, 'utf8').trim();
  assert.equal(link, page.url(), 'the mail has another link than the page of the request');
  const approver = await b.open(null, { ignoreHTTPSErrors: true });
  await approver.goto(link);
  await approver.locator('main a.btn').first().click();
  await approver.fill('[name=username]', approves.name);
  await approver.fill('[name=password]', approves.password);
  await approver.press('[name=password]', 'Enter');
  await approver.waitForURL(link); // where the mail led
  assert.equal(await page.getByText('approved').count(), 0, 'to follow the link has approved it');
  await approver.getByRole('button', { name: 'Approve…' }).click();
  await approver.getByText('15 min', { exact: true }).click();
  await approver.getByRole('button', { name: 'Approve for 15 min' }).click();
  await approver.waitForSelector('text=approved');

  await page.getByRole('link', { name: 'Open terminal' }).click(); // without a reload
  await page.waitForSelector('#notice li');
  await page.press('#purpose', 'Enter');
  await shows(page, /[$#] ?$/m);
  assert.deepEqual(b.faults, []);
} finally {
  await b.close();
}
