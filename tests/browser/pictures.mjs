// Takes the pictures of docs/pictures: `node pictures.mjs` (a demo is started) writes them anew.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { launch, shows } from './browser.mjs';
import { gateway } from './gateway.mjs';

const to = join(import.meta.dirname, '../../docs/pictures');
mkdirSync(to, { recursive: true });
const gw = await gateway();
const b = await launch(gw);
const size = { viewport: { width: 1120, height: 700 } };

async function line(page, text, wait) {
  for (const key of text) {
    await page.keyboard.type(key);
    await page.waitForTimeout(40);
  }
  await page.keyboard.press('Enter');
  await shows(page, wait);
  await page.waitForTimeout(700);
}

const take = (page, name) => page.screenshot({ path: join(to, name + '.png') });

try {
  const tech = await b.open('technician', size);
  const d = gw.devices[0];
  await tech.goto(`${gw.url}/live/new?device=${d.name}&login=${d.login}`);
  await tech.fill('#purpose', 'Hydraulic pressure drifts, read the log');
  await tech.press('#purpose', 'Enter');
  await shows(tech, /[$#] ?$/m);
  await line(tech, "PS1='press-1:~$ '; clear", /^press-1:~\$ ?$/m);
  await line(tech, 'uname -sm; uptime -p', /^up /m);
  await line(tech, 'df -h / | tail -1', /%/);
  await line(tech, 'read -s -p "Service PIN: " PIN; echo', 'Service PIN:');
  await line(tech, '4711-0815', /^press-1:~\$ ?$/m);
  await line(tech, 'ls /opt/press', /No such file/);
  await line(tech, 'sha256sum /etc/hostname', /[0-9a-f]{64}/);
  await take(tech, 'live-light');
  const record = tech.url().replace('/live/', '/sessions/');
  await line(tech, 'exit', /ended|exit/i).catch(() => {});
  await tech.goto(gw.url + '/');
  await tech.waitForSelector('tbody a.btn');
  await tech.waitForTimeout(400);
  await take(tech, 'mywork-light');

  const officer = await b.open('officer', { ...size, viewport: { width: 1120, height: 900 }, colorScheme: 'dark' });
  await officer.goto(record);
  await officer.waitForSelector('#position');
  await officer.locator('#position').focus();
  await officer.keyboard.press('End');
  await officer.locator('#position').evaluate((e) => ((e.value = e.max), e.dispatchEvent(new Event('input', { bubbles: true }))));
  await officer.click('#check');
  await officer.waitForSelector('#checks li');
  await officer.waitForTimeout(800);
  await take(officer, 'replay-dark');
} finally {
  await b.close();
  await gw.stop();
}
