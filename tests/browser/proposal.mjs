// Two administrators, each in a window of their own: one changes the labels of a machine, the other confirms it.
// `node proposal.mjs JSON`, with url, users (first who proposes, then who confirms) and devices as in a demo's ready-file, and
// labels to set. Its certificate need not be trusted.
import assert from 'node:assert/strict';
import { bothThemes, launch, narrow, shot } from './browser.mjs';

const gw = JSON.parse(process.argv[2]);
const [first, second] = gw.users;
const device = gw.devices[0].name;
const b = await launch(gw);
const window = async (user, options = {}) => {
  const page = await b.open(null, { ignoreHTTPSErrors: true, ...options });
  await b.signIn(page, user.name);
  return page;
};
try {
  const theirs = await window(second);
  const mine = await window(first);
  await mine.goto(`${gw.url}/machines/${device}`);
  await mine.getByRole('button', { name: /Labels/ }).first().click();
  await mine.fill('#rl-labels', gw.labels);
  await mine.getByRole('button', { name: 'Set labels' }).click();
  await mine.getByText('The labels wait for another administrator').waitFor();
  await shot(mine, 'proposal-made');

  await theirs.goto(`${gw.url}/requests`);
  const link = theirs.locator('#proposals a', { hasText: device });
  await link.waitFor();
  await theirs.locator('nav .count', { hasText: '1' }).waitFor();
  assert.deepEqual(await bothThemes(theirs), []);
  await shot(theirs, 'proposals');
  await link.click();
  await theirs.waitForURL(/\/proposals\/[a-z2-7]{26}$/);
  await theirs.locator('#gains tbody tr').first().waitFor();
  await theirs.locator('#changes dt').first().waitFor();
  assert.deepEqual(await bothThemes(theirs), []);
  await shot(theirs, 'proposal');
  await theirs.setViewportSize(narrow);
  assert.deepEqual(await bothThemes(theirs), []);
  await shot(theirs, 'proposal-narrow');

  await mine.goto(theirs.url());
  await mine.getByText('You proposed this change').waitFor();
  assert.equal(await mine.getByRole('button', { name: /Confirm/ }).count(), 0, 'who proposed it can confirm it');

  await theirs.getByRole('button', { name: 'Confirm…' }).click();
  await theirs.getByRole('button', { name: 'Confirm', exact: true }).click();
  await theirs.getByText('Confirmed. The change is in force.').waitFor();
  await theirs.waitForURL(/\/requests$/);
  await theirs.locator('#proposals').waitFor({ state: 'detached' });
  await mine.getByText('No such change waits').waitFor();
  await theirs.goto(`${gw.url}/machines/${device}`);
  await theirs.getByText(gw.labels).first().waitFor();
  assert.deepEqual(b.faults, []);
} finally {
  await b.close();
}
