// A person at a browser: PERSON, PASSWORD and PROVIDER say who. `authorize URL` answers what a command line asks for;
// `terminal SITE DEVICE LOGIN` signs in, opens a terminal, types, and prints what it shows.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const { chromium } = createRequire(join(import.meta.dirname, '../../tests/browser/package.json'))('playwright-core');
const { PERSON, PASSWORD, PROVIDER } = process.env;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-quic', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'],
});
const page = await browser.newPage();
page.setDefaultTimeout(20_000);
page.on('console', (m) => {
  if (m.type() === 'error') console.log(`console: ${m.text()}`);
});

/** Goes through the provider's pages as they come, until the given page shows. */
async function signIn(until) {
  for (const end = Date.now() + 20_000; Date.now() < end; await page.waitForTimeout(50)) {
    if (await page.locator(until).count()) return;
    const choice = page.locator(`a[href*="/login/${PROVIDER}"]`).first();
    if (await page.locator('[name=username]').count()) {
      await page.fill('[name=username]', PERSON);
      await page.fill('[name=password]', PASSWORD);
      await page.press('[name=password]', 'Enter');
      await page.waitForLoadState();
    } else if (await choice.count()) await choice.click();
  }
  throw new Error(`the sign-in does not get through; the browser shows ${page.url()}:\n${await page.innerText('body')}`);
}

async function authorize(url) {
  await page.goto(url);
  await signIn('[name=answer][value=allow]');
  await page.click('[name=answer][value=allow]');
  await page.waitForLoadState('networkidle');
  console.log(await page.innerText('body'));
}

async function terminal(site, device, login) {
  await page.goto(`${site}/signin?next=/`);
  await signIn('.me');
  await page.goto(`${site}/live/new?device=${device}&login=${login}`);
  await page.fill('#purpose', 'Rehearsal');
  await page.press('#purpose', 'Enter');
  await page.waitForSelector('#recorded.rec');
  await shows(/[$#]\s*$/m);
  await page.keyboard.type('echo works-$((6*7))\n');
  await shows(/^works-42/m);
  console.log('works-42');
}

/** Waits until the terminal shows a text. */
async function shows(text) {
  const screen = () => page.evaluate(() => [...document.querySelectorAll('.xterm-rows > div')].map((r) => r.textContent.replaceAll('\u00a0', ' ').trimEnd()).join('\n'));
  for (const end = Date.now() + 20_000; !text.test(await screen()); await page.waitForTimeout(50)) {
    if (Date.now() > end) throw new Error(`the terminal does not show ${text}; it shows:\n${await screen()}`);
  }
}

try {
  const [what, ...rest] = process.argv.slice(2);
  await { authorize, terminal }[what](...rest);
} catch (e) {
  console.log(e.message);
  console.log((await page.innerText('body').catch(() => '')).slice(0, 2000));
  process.exitCode = 1;
} finally {
  await browser.close();
}
