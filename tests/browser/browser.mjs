// A real Chromium, and what the tests do in it.
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const shots = process.env.SALLYPORT_SCREENSHOTS;
if (shots) mkdirSync(shots, { recursive: true });

export const wide = { width: 1440, height: 900 };
export const narrow = { width: 390, height: 844 };

export async function launch(gw) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-quic', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'],
  });
  const states = new Map(); // a sign-in for each person, used again
  const faults = []; // of all pages: uncaught errors and what a policy refused

  async function open(name, options = {}) {
    const context = await browser.newContext({ viewport: wide, permissions: ['clipboard-read', 'clipboard-write'], storageState: name ? states.get(name) : undefined, ...options });
    context.setDefaultTimeout(60_000);
    const page = await context.newPage();
    page.on('pageerror', (e) => faults.push(`${page.url()}: ${e.message}`));
    page.on('console', (m) => {
      if (m.type() === 'error' && /Content Security Policy|Refused to/i.test(m.text())) faults.push(`${page.url()}: ${m.text()}`);
    });
    if (name && !states.has(name)) {
      await signIn(page, name);
      states.set(name, await context.storageState());
    }
    return page;
  }

  /** Through the provider's own pages, as a person does. */
  async function signIn(page, name, next = '/') {
    const user = gw.users.find((u) => u.name === name);
    await page.goto(`${gw.url}/signin?next=${encodeURIComponent(next)}`);
    await page.locator('main a.btn').first().click();
    await page.fill('[name=username]', user.name);
    await page.fill('[name=password]', user.password);
    await page.press('[name=password]', 'Enter');
    await page.waitForSelector('.me');
  }

  return { open, signIn, faults, close: () => browser.close() };
}

/** What axe finds wrong, as lines. */
export async function violations(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  return found.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(' ')} (${v.help})`));
}

/** The same page, light and dark: cheaper than a page for each. Colours may fade into each other first. */
export async function bothThemes(page) {
  const found = [];
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn(Promise.all(document.getAnimations().map((a) => a.finished)))))));
    found.push(...(await violations(page)).map((v) => `${colorScheme}: ${v}`));
  }
  return found;
}

export async function shot(page, name) {
  if (shots) await page.screenshot({ path: join(shots, name + '.png') });
}

/** The text that a terminal shows. */
export const screen = (page) => page.evaluate(() => [...document.querySelectorAll('.xterm-rows > div')].map((r) => r.textContent.replaceAll('\u00a0', ' ').trimEnd()).join('\n'));

/** Waits until the terminal shows a text. */
export async function shows(page, text, within = 60_000) {
  for (const end = Date.now() + within; ; ) {
    const now = await screen(page);
    if (typeof text === 'string' ? now.includes(text) : text.test(now)) return now;
    if (Date.now() > end) throw new Error(`the terminal does not show ${text}; it shows:\n${now}`);
    await page.waitForTimeout(50);
  }
}

export async function openTerminal(page, gw, purpose = 'Browser test') {
  const d = gw.devices[0];
  await page.goto(`${gw.url}/live/new?device=${d.name}&login=${d.login}`);
  await page.fill('#purpose', purpose);
  await page.press('#purpose', 'Enter');
  await page.waitForSelector('#recorded.rec');
  await shows(page, /[$#] ?$/m);
}
