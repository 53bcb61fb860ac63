// Takes the pictures of docs/pictures: `node pictures.mjs` (a demo is started) writes them anew. Those of the README are 1120
// wide and PNG; those of every main page are 1440 and 390 wide, light and dark, and WebP of at most 60 KB.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch, narrow, shows, wide } from './browser.mjs';
import { gateway } from './gateway.mjs';

const to = join(import.meta.dirname, '../../docs/pictures');
mkdirSync(to, { recursive: true });
const gw = await gateway();
const b = await launch(gw);
const d = gw.devices[0];
const readme = { viewport: { width: 1120, height: 700 } };
const most = 60_000;
const looks = [
  ['1440-light', { viewport: wide, colorScheme: 'light' }],
  ['1440-dark', { viewport: wide, colorScheme: 'dark' }],
  ['390-light', { viewport: narrow, colorScheme: 'light' }],
  ['390-dark', { viewport: narrow, colorScheme: 'dark' }],
];

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

/** A WebP of the page in one look, as good as fits. The browser encodes it. */
async function takeSmall(page, name, [look, options]) {
  await page.setViewportSize(options.viewport);
  await page.evaluate(() => scrollTo(0, 0));
  await page.emulateMedia({ colorScheme: options.colorScheme });
  await page.waitForTimeout(500);
  const cdp = await page.context().newCDPSession(page);
  for (let quality = 90; quality >= 40; quality -= 10) {
    const { data } = await cdp.send('Page.captureScreenshot', { format: 'webp', quality });
    const bytes = Buffer.from(data, 'base64');
    if (bytes.length > most) continue;
    writeFileSync(join(to, `${name}-${look}.webp`), bytes);
    return;
  }
  throw new Error(`${name}-${look}: more than ${most} bytes at any quality`);
}

async function work(tech) {
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
}

async function check(officer, record) {
  await officer.goto(record);
  await officer.waitForSelector('#position');
  await officer.locator('#position').focus();
  await officer.keyboard.press('End');
  await officer.locator('#position').evaluate((e) => ((e.value = e.max), e.dispatchEvent(new Event('input', { bubbles: true }))));
  await officer.click('#check');
  await officer.waitForSelector('#checks li');
  await officer.waitForTimeout(800);
}

/** What others did before: some commands from a command line, one of them refused. */
function earlier() {
  const env = { ...process.env, SALLYPORT_TOKEN: gw.users.find((u) => u.name === 'technician').token };
  const run = (device, login, more, ...argv) => spawnSync(join(import.meta.dirname, '../../bin/sallyport'), ['--gateway', gw.url, 'shell', device, '-l', login, ...more, '--', ...argv], { env, stdio: 'ignore' });
  run(d.name, d.login, ['-r', 'Valve block firmware', '--ticket', 'TK-48213'], 'uname', '-a');
  run(d.name, d.login, ['-r', 'Which load before the pressure alarm'], 'uptime');
  run(d.name, d.login, [], 'ls', '/opt/press');
  run('press-2', d.login, ['-r', 'Read the log of the hydraulics', '--ticket', 'TK-48199'], 'dmesg');
}

/** One page, in every look. */
async function every(name, who, path, ready) {
  const page = await b.open(who);
  await page.goto(gw.url + path);
  await page.waitForSelector(ready);
  for (const look of looks) await takeSmall(page, name, look);
  await page.context().close();
}

try {
  earlier();
  const tech = await b.open('technician', readme);
  await work(tech);
  await take(tech, 'live-light');
  for (const look of looks) await takeSmall(tech, 'live', look);
  const record = tech.url().replace('/live/', '/sessions/');
  await tech.setViewportSize(readme.viewport);
  await tech.emulateMedia({ colorScheme: 'light' });
  await line(tech, 'exit', /ended|exit/i).catch(() => {});
  await tech.goto(gw.url + '/');
  await tech.waitForSelector('tbody a.btn');
  await tech.waitForTimeout(400);
  await take(tech, 'mywork-light');

  const officer = await b.open('officer', { viewport: { width: 1120, height: 900 }, colorScheme: 'dark' });
  await check(officer, record);
  await take(officer, 'replay-dark');
  for (const look of looks) await takeSmall(officer, 'replay', look);

  await every('signin', null, '/signin', 'main a.btn');
  await every('mywork', 'technician', '/', '[data-row]');
  await every('review', 'officer', '/sessions', '#sessions');
  await every('machines', 'admin', '/machines', '#fleet');
} finally {
  await b.close();
  await gw.stop();
}
