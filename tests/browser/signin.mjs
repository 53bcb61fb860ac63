// A person signs in at a gateway that runs and types in a terminal: `node signin.mjs JSON`, with url, users and devices as
// in a demo's ready-file. Its certificate need not be trusted. Prints what the terminal showed; fails with what kept it.
import assert from 'node:assert/strict';
import { launch, openTerminal, shows } from './browser.mjs';

const gw = JSON.parse(process.argv[2]);
const b = await launch(gw);
try {
  const page = await b.open(null, { ignoreHTTPSErrors: true });
  await b.signIn(page, gw.users[0].name).catch((e) => assert.fail(`${e.message}\nat ${page.url()}, after ${JSON.stringify(b.faults)}`));
  await openTerminal(page, gw);
  await page.keyboard.type('echo in$((40+2))out\n');
  console.log(await shows(page, 'in42out'));
  assert.deepEqual(b.faults, []);
} finally {
  await b.close();
}
