// The web app in a real browser against a real gateway, from sign-in to the check of a record.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { bothThemes, launch, narrow, openTerminal, screen, shot, shows, violations, wide } from './browser.mjs';
import { openChannel } from './channel.mjs';
import { gateway } from './gateway.mjs';
import { altGr, compose } from './typing.mjs';

let gw;
let b;
let recorded; // address of the session that the first terminal test leaves
let resized; // address of one in which the window changed its size, twice

before(async () => {
  gw = await gateway();
  b = await launch(gw);
});
after(async () => {
  await b?.close();
  await gw?.stop();
});

/** Runs with a page of somebody, and closes it whatever happens. */
const as = (name, fn, options) => async () => {
  const page = await b.open(name, options);
  try {
    await fn(page);
  } finally {
    await page.context().close();
  }
};

/** Whatever is asked of the gateway there is refused, once; then it answers again. */
async function fails(page, path, open) {
  const detail = 'the database does not answer';
  const refuse = (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify({ title: 'Service Unavailable', status: 503, reason: 'unavailable', detail, hint: 'Look for what holds it.', reference: 'ABCDEF' }) });
  const asked = (url) => url.pathname === path;
  await page.route(asked, refuse);
  await open();
  const said = page.locator('.banner.bad', { hasText: 'The database does not answer' }).first();
  await said.waitFor().catch(async () => assert.fail(`${path}: the page does not say it: ${await page.textContent('body')}`));
  assert.match(await said.textContent(), /could not be (read|opened)\. The database does not answer\.? Look for what holds it\..*Reference ABCDEF\./, path);
  const again = said.getByRole('button', { name: 'Try again' });
  assert.ok(await again.isVisible(), `${path}: there is nothing to press`);
  await page.unroute(asked, refuse);
  await again.click({ timeout: 1000 }).catch(() => {}); // a page that asks by itself may have been quicker
  await said.waitFor({ state: 'detached' });
}

/** A machine that has run its enroll line, and its key as it shows it, without the name of the hash. */
function waitingMachine(code) {
  const state = mkdtempSync(join(tmpdir(), 'sallyport-machine-'));
  const said = execFileSync(join(import.meta.dirname, '../../bin/sallyport-agent'), ['enroll', code, '--preset', 'locked', '--state', state, '--ephemeral', '--no-wait'], { encoding: 'utf8' });
  return { key: said.match(/SHA256:(\S+)/)[1], forget: () => rmSync(state, { recursive: true, force: true }) };
}

/** Asks the API with the token of a role. */
function asRole(role, method, path, body) {
  const token = gw.users.find((u) => u.role === role).token;
  return fetch(gw.url + path, { method, headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
}

async function asAdmin(method, path, body) {
  const answer = await asRole('admin', method, path, body);
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${await answer.text()}`);
}

describe('sign-in', () => {
  test('says that sessions are recorded, and leads back to where one went', as(null, async (page) => {
    await page.goto(gw.url + '/machines');
    await page.waitForURL(/\/signin\?next=%2Fmachines/);
    await page.waitForSelector('.door .prose:not(:empty)');
    assert.match(await page.textContent('.door'), /recorded/i);
    await shot(page, 'signin');
    await b.signIn(page, 'technician', '/machines');
    assert.equal(new URL(page.url()).pathname, '/machines');
  }));

  test('needs at most 15 KB before anybody is known', as(null, async (page) => {
    await page.goto(gw.url + '/signin');
    await page.waitForSelector('main a.btn');
    const sizes = await page.evaluate(() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].filter((e) => !e.name.includes('/api/')).map((e) => [new URL(e.name).pathname, e.encodedBodySize]));
    const sum = sizes.reduce((n, [, s]) => n + s, 0);
    assert.ok(sum > 0 && sum <= 15_000, `got ${sum} bytes, want at most 15,000: ${JSON.stringify(sizes)}`);
  }));

  test('is over after signing out', as(null, async (page) => {
    await b.signIn(page, 'approver');
    await page.click('.me');
    await page.click('#signout');
    await page.waitForURL(/signin|logout|idp/);
    await page.goto(gw.url + '/');
    await page.waitForURL(/\/signin/);
  }));
});

describe('My work', () => {
  test('lists what can be opened now, first', as('technician', async (page) => {
    await page.goto(gw.url + '/');
    const row = page.locator('tbody tr', { hasText: gw.devices[0].name }).first();
    await row.locator('a.btn').first().waitFor();
    assert.match(await row.textContent(), /Online/);
    assert.match(await row.locator('a.btn').first().getAttribute('href'), new RegExp(`/live/new\\?device=${gw.devices[0].name}`));
    await shot(page, 'mywork');
  }));

  test('at 390 shows the name of a machine that is offline, and beside it nothing over it', as('technician', async (page) => {
    await page.route('**/api/v1/work', async (route) => {
      const work = await (await route.fetch()).json();
      for (const w of work.devices) {
        Object.assign(w.device, { online: false, last_seen: new Date(Date.now() - 3 * 3600_000).toISOString() });
        w.refused = `${w.device.name} is offline since this morning`;
      }
      await route.fulfill({ json: work });
    });
    await page.goto(gw.url + '/');
    const row = page.locator('tbody tr', { hasText: 'opens when it is online' }).first();
    await row.waitFor();
    await shot(page, 'mywork-offline');
    const boxes = await row.evaluate((tr) => {
      const box = (n) => {
        const r = document.createRange();
        r.selectNodeContents(n);
        return r.getBoundingClientRect().toJSON();
      };
      return [...tr.cells].flatMap((c) => [...c.childNodes].map(box)).filter((x) => x.width);
    });
    const over = boxes.flatMap((a, i) => boxes.slice(i + 1).filter((b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1));
    assert.ok(boxes.length > 3);
    assert.deepEqual(over, []);
  }, { viewport: narrow }));

  test('answers to the keyboard', as('technician', async (page) => {
    await page.goto(gw.url + '/');
    await page.waitForSelector('[data-row]');
    await page.keyboard.press('j');
    assert.equal(await page.evaluate(() => document.activeElement?.matches('[data-row]')), true);
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor();
    await page.evaluate(() => {
      document.querySelector('dialog[open]').close(); // the browser says so later, as it may when it is busy
      document.dispatchEvent(new KeyboardEvent('keydown', { key: '/', bubbles: true, cancelable: true }));
    });
    await page.getByRole('dialog', { name: 'Find a machine' }).waitFor();
    await page.waitForTimeout(200);
    await page.getByRole('dialog', { name: 'Find a machine' }).waitFor({ timeout: 1000 });
    await page.keyboard.press('Escape');
    await page.getByRole('dialog', { name: 'Find a machine' }).waitFor({ state: 'detached' });
    await page.keyboard.press('g');
    await page.keyboard.press('m');
    await page.waitForURL(/\/machines$/);
    await page.keyboard.press('/');
    await page.getByRole('dialog', { name: 'Find a machine' }).waitFor();
    await page.keyboard.type(gw.devices[0].name);
    await page.locator('.found a', { hasText: gw.devices[0].name }).first().waitFor();
    await page.keyboard.press('Enter');
    await page.waitForURL(new RegExp(`/machines/${gw.devices[0].name}$`));
    await page.keyboard.press('g');
    await page.keyboard.press('w');
    await page.waitForURL((u) => u.pathname === '/');
  }));

  test('says since when the gateway does not answer, and goes on when it does', as('technician', async (page) => {
    await page.goto(gw.url + '/');
    await page.waitForSelector('[data-row]');
    await page.context().setOffline(true);
    await page.getByText(/No connection to the gateway since \d\d:\d\d:\d\d/).waitFor();
    assert.equal(await page.locator('a.btn', { hasText: 'Open' }).count(), 0, 'a button that needs the gateway is still there');
    await page.context().setOffline(false);
    await page.getByRole('button', { name: 'Try now' }).click();
    await page.getByText(/No connection to the gateway since/).waitFor({ state: 'detached' });
    await page.locator('a.btn', { hasText: 'Open' }).first().waitFor();
  }));
});

describe('the terminal', () => {
  test('shows the notice before it opens, and what is typed after', as('technician', async (page) => {
    const d = gw.devices[0];
    await page.goto(`${gw.url}/live/new?device=${d.name}&login=${d.login}`);
    await page.waitForSelector('#notice li');
    assert.equal(await page.locator('#notice li').count(), 4, 'lines of notice');
    assert.equal(await page.locator('.xterm').count(), 0, 'an address alone opened a terminal');
    await shot(page, 'before');
    await openTerminal(page, gw, 'Grüße 日本');
    await page.waitForURL(/\/live\/\w{26}$/);
    recorded = page.url().replace('/live/', '/sessions/');
    assert.match(await page.textContent('.strip'), new RegExp(`Recorded.*${d.name}.*${d.login}.*Grüße 日本.*left`));
    await page.keyboard.type('echo in$((40+2))out\n');
    if (!gw.mock) await shows(page, 'in42out');
    await page.keyboard.type('echo Zürich ✓ end\n');
    await shows(page, /^Zürich ✓ end/m);
    await shot(page, 'live');
  }));

  test('ends with the window it is in, and says so at its address', as('technician', async (page) => {
    await page.goto(recorded.replace('/sessions/', '/live/'));
    await page.getByText(/This session has ended|runs in another window/).waitFor();
    if (!gw.mock) {
      await page.getByText('This session has ended').waitFor();
      assert.match(await page.getByRole('link', { name: 'Open again' }).getAttribute('href'), /\/live\/new\?device=/);
    }
  }));

  test('follows the size of the window', as('technician', async (page) => {
    await openTerminal(page, gw);
    const size = async () => {
      await page.keyboard.type('stty size\n');
      const text = await shows(page, /^\d+ \d+$/m);
      const [rows, cols] = [...text.matchAll(/^(\d+) (\d+)$/gm)].at(-1).slice(1).map(Number);
      await page.keyboard.press('Control+l');
      return { rows, cols };
    };
    const big = await size();
    await page.setViewportSize({ width: 1000, height: 600 });
    await page.waitForTimeout(400);
    await page.keyboard.type('\n');
    await page.keyboard.type('stty size\n');
    const small = await until(async () => [...(await screen(page)).matchAll(/^(\d+) (\d+)$/gm)].map((m) => ({ rows: Number(m[1]), cols: Number(m[2]) })).find((s) => s.rows < big.rows));
    assert.ok(small.rows < big.rows, `got ${small.rows} rows after ${big.rows}`);
    await page.keyboard.type('exit\n');
    await page.waitForSelector('#ended');
  }));

  test('takes what is pasted', as('technician', async (page) => {
    await openTerminal(page, gw);
    await page.evaluate(() => navigator.clipboard.writeText('echo pasted-from-the-clipboard'));
    await page.keyboard.press('Control+Shift+V');
    await shows(page, 'echo pasted-from-the-clipboard');
    await page.keyboard.type('\n');
    await shows(page, /^pasted-from-the-clipboard/m);
  }));

  /** Shows the bytes that the machine gets of what is typed, once Enter and Ctrl D have ended it. */
  const bytesTyped = async (page, type, want) => {
    await openTerminal(page, gw);
    await page.keyboard.type("stty -echo; echo rea''dy; od -An -v -tx1 -w100\n");
    await shows(page, /^ready/m);
    await type();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Control+d');
    const sent = [...Buffer.from(want + '\n')].map((n) => ' ' + n.toString(16).padStart(2, '0')).join('');
    assert.equal((await shows(page, / 0a$/m)).match(/^ .* 0a$/m)[0], sent);
  };

  test('types what AltGr gives, also where it reads as Ctrl Alt', as('technician', async (page) => {
    if (gw.mock) return;
    await bytesTyped(page, async () => {
      await altGr(page, { Q: '@', E: '€', X: 'ź', F: '{' });
      await page.evaluate(() => { // as older browsers say it; without AltGr these are the page's own keys
        for (const key of ['e', 'f', 'x']) document.activeElement.dispatchEvent(new KeyboardEvent('keyup', { key, bubbles: true }));
        for (const key of ['e', 'f']) {
          const e = new KeyboardEvent('keydown', { key, ctrlKey: true, altKey: true, modifierAltGraph: true, isComposing: true, keyCode: 229, bubbles: true, cancelable: true });
          document.activeElement.dispatchEvent(e);
        }
      });
      assert.equal(await page.locator('[role=dialog], #tfind').count(), 0, 'a key of AltGr was taken for one of the page');
    }, '@€ź{');
  }));

  test('takes what an input method composes once, and nothing of what is given up', as('technician', async (page) => {
    if (gw.mock) return;
    await bytesTyped(page, async () => {
      await compose(page, ['に', 'にほ', 'にほん'], '日本');
      await compose(page, ['x', 'xy'], '');
      await page.keyboard.type('-');
      await compose(page, ['´'], 'é');
      await compose(page, [], '🙂');
    }, '日本-é🙂');
  }));

  test('shows a character whole that is written in two parts', as('technician', async (page) => {
    if (gw.mock) return;
    await openTerminal(page, gw, 'Two sizes');
    await page.waitForURL(/\/live\/\w{26}$/);
    resized = page.url().replace('/live/', '/sessions/');
    await page.keyboard.type("printf 'ha''lf:\\303'; read -rs; printf '\\274:whole\\n'\n");
    await shows(page, /^half:/m);
    await page.keyboard.press('Enter');
    await shows(page, /^half:ü:whole/m);
    // for the replay: a small screen between two large ones
    await page.waitForTimeout(800);
    for (const [word, height] of [['narrow', 500], ['wide', wide.height]]) {
      await page.setViewportSize({ width: wide.width, height });
      await page.waitForTimeout(800);
      await page.keyboard.type(`echo ${word[0]}''${word.slice(1)}\n`);
      await shows(page, new RegExp(`^${word}`, 'm'));
      await page.waitForTimeout(800);
    }
    await page.keyboard.type('exit\n');
    await page.waitForSelector('#ended');
  }));

  test('copies what is selected, and the machine does not hear of it', as('technician', async (page) => {
    if (gw.mock) return;
    await openTerminal(page, gw);
    await page.keyboard.type("echo take-''me-along; cat\n");
    await shows(page, /^take-me-along/m);
    const at = await page.locator('.xterm-rows > div', { hasText: /^take-me-along/ }).boundingBox();
    await page.mouse.dblclick(at.x + 30, at.y + at.height / 2); // a word, as in other terminals
    await page.keyboard.press('Control+Shift+C');
    const copied = () => page.evaluate(() => navigator.clipboard.readText());
    await until(async () => (await copied()) === 'take-me-along', copied);
    await page.keyboard.type('still here\n');
    const text = await shows(page, /^still here\nstill here/m);
    assert.doesNotMatch(text, /\^C/);
  }));

  test('finds, and can be left by keyboard', as('technician', async (page) => {
    await openTerminal(page, gw);
    await page.keyboard.type('echo needle\n');
    await shows(page, /^needle/m);
    await page.keyboard.press('Control+Alt+f');
    await page.fill('#tfind', 'needle');
    await page.press('#tfind', 'Enter');
    await page.fill('#tfind', 'haystack');
    await page.press('#tfind', 'Enter');
    await page.getByText('Not found.').waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+Alt+x');
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'end');
  }));

  test('shows the exit status when the shell ends', as('technician', async (page) => {
    await openTerminal(page, gw);
    if (gw.mock) await page.keyboard.type('exit\n');
    else await page.keyboard.type('exit 3\n');
    await page.waitForSelector('#ended');
    assert.match(await page.textContent('#ended'), gw.mock ? /The shell ended/ : /exit status 3/);
    assert.match(await page.textContent('#recorded'), /Ended/);
    await shot(page, 'live-ended');
  }));

  test('ends the session when asked to, after it has asked', as('technician', async (page) => {
    await openTerminal(page, gw);
    await page.keyboard.press('Control+Alt+e');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    assert.match(await page.textContent('#recorded'), /Recorded/);
    await page.click('#end');
    await page.click('#end-now');
    await page.waitForSelector('#ended');
    await page.getByRole('link', { name: 'Look at the record' }).first().waitFor();
  }));

  test('says that the session has ended when the line drops, and offers to open it again', as('technician', async (page) => {
    let line;
    await page.routeWebSocket(/\/api\/v1\/terminal/, (ws) => {
      line = ws;
      ws.connectToServer();
    });
    await openTerminal(page, gw);
    await line.close({ code: 3000 });
    await page.waitForSelector('#ended');
    assert.match(await page.textContent('#ended'), /line to the gateway dropped at \d\d:\d\d:\d\d.*session has ended/i);
    await page.locator('#ended').getByRole('link', { name: 'Open again' }).click();
    await page.waitForSelector('#open');
    assert.equal(await page.inputValue('#purpose'), 'Browser test');
  }));

  test('is cut, with the reason, when the machine no longer is where one may work', as('technician', async (page) => {
    if (gw.mock) return;
    const hall = (at) => asAdmin('POST', `/api/v1/devices/${gw.devices[0].name}/labels`, { labels: { hall: at } });
    await openTerminal(page, gw);
    try {
      await hall('2');
      await page.waitForSelector('#ended');
      assert.match(await page.textContent('#ended'), /labels changed during the session/);
      await shot(page, 'live-cut');
    } finally {
      await hall('1');
    }
  }));

  test('ends, with the reason, when its person signs out elsewhere', as(null, async (page) => {
    if (gw.mock) return;
    await b.signIn(page, 'technician'); // a sign-in of its own: the others' goes on
    await openTerminal(page, gw);
    const other = await page.context().newPage();
    await other.goto(gw.url + '/');
    await other.click('.me');
    await other.click('#signout');
    await other.waitForURL(/signin|logout|idp/);
    await page.bringToFront();
    await page.waitForSelector('#ended');
    assert.match(await page.textContent('#ended'), /sign-in has ended/);
    await Promise.all([page.waitForResponse((r) => r.url().endsWith('/api/v1/me') && r.status() === 401), page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')))]);
    await page.getByRole('link', { name: 'Look at the record' }).first().click();
    await page.waitForURL(/\/signin\?next=%2Fsessions/);
  }));

  test('refuses with the reason and the nearest way in', as('technician', async (page) => {
    await page.goto(`${gw.url}/live/new?device=press-2&login=root`);
    await page.waitForSelector('#notice li');
    await page.press('#purpose', 'Enter');
    await page.waitForSelector('.refusal, .banner.bad');
    const text = await page.textContent('main');
    assert.match(text, /You may not open this now/);
    assert.match(text, /Why/);
    await shot(page, 'refused');
  }));

  test('names each way in once', as('technician', async (page) => {
    await page.goto(`${gw.url}/live/new?device=press-2&login=${gw.devices[0].login}`);
    await page.waitForSelector('#notice li');
    await page.press('#purpose', 'Enter');
    await page.waitForSelector('.refusal dt:text("Nearest way in")');
    const lines = await page.locator('.refusal dd').allTextContents();
    assert.match(lines[1], /R1/);
    assert.deepEqual(lines, [...new Set(lines)]);
  }));
});

describe('the Session page', () => {
  test('replays what the terminal showed', as('technician', async (page) => {
    await page.goto(recorded);
    await page.waitForSelector('#play');
    const shown = () => page.evaluate(() => document.querySelector('.player .term')?.textContent ?? '');
    await page.evaluate(() => {
      const range = document.querySelector('#position');
      range.value = range.max;
      range.dispatchEvent(new Event('input', { bubbles: true }));
    });
    await until(async () => (await shown()).includes('Zürich ✓ end'), shown);
    await shot(page, 'replay');
  }));

  test('has the size that the terminal had, however it is sought', as('technician', async (page) => {
    if (gw.mock) return;
    await page.goto(resized);
    await page.waitForSelector('#play');
    const cast = await page.evaluate(async (id) => (await fetch(`/api/v1/sessions/${id}/cast`)).text(), resized.split('/').pop());
    const sizes = cast.trim().split('\n').slice(1).map((l) => JSON.parse(l)).filter((e) => e[1] === 'r');
    const rows = ([, , size]) => Number(size.split('x')[1]);
    const least = Math.min(...sizes.map(rows));
    const shrunk = sizes.findIndex((e) => rows(e) === least);
    const grown = sizes.findIndex((e, i) => i > shrunk && rows(e) > least);
    const places = {
      before: { time: sizes[shrunk][0] - 0.3, size: sizes[shrunk - 1][2], words: /half:ü:whole/, without: /narrow/ },
      between: { time: sizes[grown][0] - 0.3, size: sizes[shrunk][2], words: /narrow/, without: /wide/ },
      after: { time: sizes.at(-1)[0] + 60, size: sizes.at(-1)[2], words: /wide/, without: /nothing is missing/ },
    };
    assert.ok(shrunk > 0 && grown > shrunk, JSON.stringify(sizes));
    const shown = () => page.evaluate(() => {
      const style = document.querySelector('.player .ap-term').style;
      return `${style.getPropertyValue('--term-cols')}x${style.getPropertyValue('--term-rows')} ${document.querySelector('.player .term').textContent}`;
    });
    for (const name of ['after', 'before', 'between', 'after', 'between', 'before']) {
      const { time, size, words, without } = places[name];
      await page.locator('#position').evaluate((e, t) => ((e.value = Math.min(t, e.max)), e.dispatchEvent(new Event('input', { bubbles: true }))), time);
      const right = (text) => text.startsWith(size + ' ') && words.test(text) && !without.test(text);
      await until(async () => right(await shown()), async () => `${name}, want ${size}: ${await shown()}`);
    }
  }));

  test('lists what was typed, and has the output as text', as('technician', async (page) => {
    await page.goto(recorded);
    await page.locator('.script code', { hasText: 'echo Zürich' }).first().waitFor();
    await page.getByRole('tab', { name: 'Output as text' }).click();
    await page.locator('.output', { hasText: 'Zürich ✓ end' }).waitFor();
    await page.fill('#ts', 'zürich');
    await page.locator('.output mark').first().waitFor();
  }));

  test('answers to the keyboard of the player', as('technician', async (page) => {
    await page.goto(recorded);
    await page.waitForSelector('#play');
    await page.keyboard.press('Space');
    await page.locator('#play[aria-pressed=true]').waitFor();
    await page.keyboard.press('Space');
    await page.locator('#play[aria-pressed=false]').waitFor();
    await page.keyboard.press('.');
    await page.getByRole('button', { name: 'Speed, now 2 times' }).waitFor();
  }));

  test('checks the record and says first in words whether it is whole', as('officer', async (page) => {
    await page.goto(recorded);
    if (gw.mock) {
      await page.waitForSelector('#export');
      return;
    }
    await page.click('#check');
    await page.waitForSelector('#checks li');
    assert.match(await page.textContent('#verify header'), /Yes/);
    assert.equal(await page.locator('#checks .st.bad').count(), 0, 'checks that failed');
    assert.match(await page.locator('#checks').textContent(), /asked for on device "press-1" by .* signed in at \d{4}-/, 'who signed in, and when');
    assert.equal(await page.locator('#differs').count(), 0, 'the page contradicts the evidence');
    await page.setViewportSize(narrow);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0, 'the page is wider than the screen');
    await page.setViewportSize(wide);
    await shot(page, 'verified');
  }));

  test('shows the recording of a session whose row is refused against the evidence', as('officer', async (page) => {
    if (gw.mock) return;
    const path = `/api/v1${new URL(recorded).pathname}`;
    await page.route((url) => url.pathname === path, async (route) => {
      const response = await route.fetch();
      const json = { ...(await response.json()), state: 'refused', differs: ['state: the database says "refused"'] };
      await route.fulfill({ response, json });
    });
    await page.goto(recorded);
    await page.waitForSelector('#differs');
    await page.waitForSelector('#check');
    assert.doesNotMatch(await page.textContent('main'), /Nothing reached the machine/);
  }));

  test('exports a bundle to a reviewer', as('officer', async (page) => {
    await page.goto(recorded);
    await page.waitForSelector('h1');
    if (gw.mock) return;
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#export')]);
    assert.match(download.suggestedFilename(), /\.slyb$/);
  }));
});

describe('A session with a terminal and a command', () => {
  let both; // its address
  const shownIn = (page) => () => page.evaluate(() => document.querySelector('.player .term')?.textContent ?? '');
  const atEnd = (page) => page.locator('#position').evaluate((e) => ((e.value = e.max), e.dispatchEvent(new Event('input', { bubbles: true }))));

  test('runs both side by side, each with its own end', as('technician', async (page) => {
    if (gw.mock) return;
    await openTerminal(page, gw, 'Two at once');
    await page.waitForURL(/\/live\/\w{26}$/);
    both = page.url().replace('/live/', '/sessions/');
    const command = await openChannel(page, both.split('/').pop(), ['sh', '-c', 'cat; echo ünterwegs >&2; exit 7']);
    await command.type('to the command żółw\n');
    await until(async () => (await command.seen()).out === 'to the command żółw\n', async () => JSON.stringify(await command.seen()));
    await page.keyboard.type('echo to the shell$((40+2))\n');
    assert.doesNotMatch(await shows(page, 'to the shell42'), /command/);
    await command.say({ t: 'eof' });
    await until(async () => (await command.seen()).last?.t === 'exit', async () => JSON.stringify(await command.seen()));
    const { out, err, last } = await command.seen();
    assert.deepEqual([out, err, last.status], ['to the command żółw\n', 'ünterwegs\n', 7]);
    await page.keyboard.type('echo still here$((1+1))\n');
    await shows(page, 'still here2');
    await page.keyboard.type('exit 3\n');
    await page.waitForSelector('#ended');
    assert.match(await page.textContent('#ended'), /exit status 3/);
  }));

  test('goes on after its shell while a command runs, and the page says so', as('technician', async (page) => {
    if (gw.mock) return;
    await openTerminal(page, gw, 'Shell first');
    await page.waitForURL(/\/live\/\w{26}$/);
    const command = await openChannel(page, page.url().split('/').pop(), ['cat']);
    await page.locator('.live-term').click();
    await page.keyboard.type('exit\n');
    await page.locator('#ended', { hasText: 'The session goes on: another of its channels runs.' }).waitFor();
    await command.say({ t: 'eof' });
    await page.locator('#ended', { hasNotText: 'goes on' }).waitFor();
  }));

  test('ends as a whole when its technician ends it', as('technician', async (page) => {
    if (gw.mock) return;
    await openTerminal(page, gw, 'End both');
    await page.waitForURL(/\/live\/\w{26}$/);
    const id = page.url().split('/').pop();
    const command = await openChannel(page, id, ['cat']);
    await page.click('#end');
    await page.click('#end-now');
    await page.waitForSelector('#ended');
    await until(async () => (await command.seen()).last?.t === 'exit', async () => JSON.stringify(await command.seen()));
    await until(async () => (await (await asRole('technician', 'GET', `/api/v1/sessions/${id}`)).json()).state === 'closed', async () => 'the session goes on');
  }));

  test('is replayed by channel, and names each in transcript, lanes and search', as('officer', async (page) => {
    if (gw.mock) return;
    await page.goto(both);
    const shown = shownIn(page);
    const choice = page.getByLabel('Channel', { exact: true });
    await choice.waitFor();
    assert.deepEqual(await choice.locator('option').allTextContents(), ['1: a shell', "2: sh -c 'cat; echo ünterwegs >&2; exit 7'"]);
    await atEnd(page);
    await until(async () => (await shown()).includes('still here2'), shown);
    assert.doesNotMatch(await shown(), /żółw/);
    assert.match(await page.locator('#cast').getAttribute('href'), /&channel=1$/);
    await shot(page, 'channels-1');

    await choice.focus();
    await page.keyboard.press('ArrowDown'); // by keyboard, as any list
    await page.waitForURL(/\?channel=2$/);
    assert.match(await page.textContent('#channel-facts'), /2 of 2 in this session\. No terminal · as .* · exit status 7 · 34 bytes shown/);
    await atEnd(page);
    await until(async () => /to the command żółw.*ünterwegs/.test(await shown()), shown);
    assert.doesNotMatch(await shown(), /shell42/);
    assert.equal(await page.locator('#cast').textContent(), 'Channel 2 as asciicast');
    assert.deepEqual(await page.locator('.lanes li').evaluateAll((all) => all.map((l) => l.firstChild.textContent.trim())), ['Channel 1', 'Channel 2', 'Refused', 'Gaps']);
    await shot(page, 'channels-2');

    const row = (text) => page.locator('.script li', { hasText: text }).first();
    assert.match(await row('to the command').textContent(), /channel 2/);
    assert.match(await row('to the shell').textContent(), /channel 1/);
    await row('echo to the shell').click(); // a row is shown on the screen of its channel
    await page.waitForURL(/\?channel=1$/);

    await page.getByRole('tab', { name: 'Output as text' }).click();
    await page.locator('.output', { hasText: 'still here2' }).waitFor();
    await page.fill('#ts', 'ŻÓŁW');
    await page.getByText('0 found in channel 1.').waitFor();
    await shot(page, 'channels-search');
    await page.getByRole('button', { name: '1 in channel 2' }).click();
    await page.waitForURL(/\?channel=2$/);
    await page.locator('.output mark', { hasText: 'żółw' }).waitFor();
    await page.getByText('None in the other channels.').waitFor();
  }));

  test('opens at the channel that its address names, and says when there is none of that number', as('officer', async (page) => {
    if (gw.mock) return;
    await page.goto(both + '?channel=2');
    await page.waitForSelector('#play');
    assert.equal(await page.inputValue('#channel'), '2');
    await page.goto(both + '?channel=9');
    await page.getByText('The record has no channel 9.').waitFor();
    assert.equal(await page.inputValue('#channel'), '1');
    await page.goto(recorded);
    await page.waitForSelector('#play');
    assert.equal(await page.locator('#channel, .script .chip').count(), 0, 'a record with one channel offers a choice');
    assert.match(await page.locator('#cast').getAttribute('href'), /cast\?version=2$/);
  }));

  for (const [look, options] of [['1440', { colorScheme: 'light', viewport: wide }], ['1440-dark', { colorScheme: 'dark', viewport: wide }], ['390', { viewport: narrow }]]) {
    test(`is accessible: ${look}`, as('officer', async (page) => {
      if (gw.mock) return;
      await page.goto(both + '?channel=2');
      await page.waitForSelector('#channel');
      await page.waitForTimeout(400);
      await shot(page, `channels-${look}`);
      assert.deepEqual(await violations(page), []);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(over <= 0, `the page is ${over} px wider than the window`);
    }, options));
  }
});

describe('lists', () => {
  test('have the session that was recorded, and open it', as('officer', async (page) => {
    await page.goto(gw.url + '/');
    await page.waitForURL(/\/sessions$/); // a reviewer's first page
    await page.waitForSelector('#sessions [data-row]');
    assert.ok((await page.locator('#sessions tbody tr').count()) > 0);
    await shot(page, 'sessions');
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/sessions\/\w{26}$/);
  }));

  test('are of one person and one customer when asked', as('officer', async (page) => {
    if (gw.mock) return;
    await page.goto(gw.url + '/sessions');
    const name = (await page.locator('#sessions tbody tr td').first().evaluate((td) => td.firstChild.textContent)).trim();
    const site = await page.locator('#sessions tbody th .sub').first().textContent();
    assert.ok((await page.locator('#seen-site option').evaluateAll((all) => all.map((o) => o.value))).includes(site));
    await page.fill('#f-site', site);
    await page.press('#f-site', 'Enter');
    await page.waitForURL((u) => u.searchParams.get('site') === site);
    await page.fill('#f-user', name);
    await page.press('#f-user', 'Enter');
    await page.waitForURL((u) => u.searchParams.get('site') === site && u.searchParams.get('user') === name);
    await page.waitForSelector('#sessions [data-row]');
    assert.equal(await page.inputValue('#f-site'), site);
    await page.fill('#f-user', 'Nobody At All');
    await page.press('#f-user', 'Enter');
    await page.getByText('No session matches.').waitFor();
  }));

  test('turn pages by button and by key', as('officer', async (page) => {
    if (gw.mock) return;
    const refused = gw.devices[1].name;
    for (let n = 0; n < 27; n++) assert.equal((await asRole('technician', 'POST', '/api/v1/sessions', { device: refused })).status, 403);
    await page.goto(`${gw.url}/sessions?device=${refused}`);
    const pager = page.locator('.pager span').first();
    const shown = (text) => until(async () => (await pager.textContent()).startsWith(text), () => pager.textContent());
    const of = (await pager.textContent()).match(/^1 to 25 of (\d+) /)?.[1];
    assert.ok(Number(of) >= 27, of);
    const newest = await page.locator('#sessions tbody a').first().getAttribute('href');
    assert.equal(await page.getByRole('button', { name: 'Newer' }).isDisabled(), true);
    await page.getByRole('button', { name: 'Older' }).click();
    await shown(`26 to ${of} of ${of}`);
    assert.match(page.url(), /page=2/);
    assert.notEqual(await page.locator('#sessions tbody a').first().getAttribute('href'), newest);
    await until(async () => (await page.keyboard.press('['), (await pager.textContent()).startsWith(`1 to 25 of ${of}`)), () => pager.textContent());
    await until(async () => (await page.keyboard.press(']'), (await pager.textContent()).startsWith(`26 to ${of} of ${of}`)), () => pager.textContent());
     await page.goto(`${gw.url}/sessions?device=${refused}&page=99`);
    await page.getByText('There is no page 99.').waitFor();
    assert.match(await page.textContent('main'), new RegExp(`${of} sessions on ${Math.ceil(of / 25)} pages`));
    assert.equal(await page.locator('.pager').count(), 0, 'a page past the end counts rows');
    await page.getByRole('link', { name: 'Last page' }).click();
    await page.waitForURL(/device=.*page=\d+$/);
    await page.locator('#sessions tbody a').first().waitFor();
    await page.goto(`${gw.url}/sessions?device=${refused}&page=99`);
    await page.getByRole('link', { name: 'First page' }).click();
    await shown('1 to 25 of ');
  }));

  test('are rows of two lines at most, and entries at 390', as('officer', async (page) => {
    await page.goto(gw.url + '/sessions');
    await page.waitForSelector('#sessions [data-row]');
    const high = () => page.evaluate(() => Math.max(...[...document.querySelectorAll('#sessions tbody tr')].map((r) => r.offsetHeight)));
    assert.ok((await high()) <= 56, `got a row of ${await high()} px`);
    await page.setViewportSize(narrow);
    const clipped = await page.evaluate(() => document.querySelector('.scroll').scrollWidth - document.querySelector('.scroll').clientWidth);
    assert.ok(clipped <= 0, `the list is ${clipped} px wider than what is shown of it`);
  }));

  test('say what to do when nothing matches', as('officer', async (page) => {
    if (gw.mock) return;
    await page.goto(gw.url + '/sessions?text=nothing-is-called-this');
    await page.getByText('No session matches.').waitFor();
  }));
});

describe('A session', () => {
  test('of somebody else reads as one that does not exist', as('technician', async (page) => {
    if (gw.mock) return;
    assert.equal((await asRole('approver', 'POST', '/api/v1/sessions', { device: gw.devices[0].name })).status, 403);
    const theirs = (await (await asRole('admin', 'GET', '/api/v1/sessions?user=approver')).json()).sessions[0].id;
    const says = [];
    for (const id of ['a'.repeat(26), theirs]) {
      await page.goto(gw.url + '/sessions/' + id);
      await page.getByText('No session of this address is visible to you.').waitFor();
      says.push(await page.locator('main').innerText());
    }
    assert.equal(says[0], says[1]);
  }));
});

describe('Machines', () => {
  test('gives an administrator the line to paste on a machine', as('admin', async (page) => {
    await page.goto(gw.url + '/machines');
    await page.locator('#fleet').waitFor();
    await page.locator('tbody tr', { hasText: gw.devices[0].name }).first().waitFor();
    await page.click('#new-code');
    await page.fill('#jc-site', 'Browser test, Kassel');
    await page.fill('#jc-labels', 'kind=press');
    await page.getByRole('button', { name: 'Make the code' }).click();
    const line = page.locator('.copy code', { hasText: 'sallyport-agent enroll sp1-' });
    await line.waitFor();
    await page.getByRole('button', { name: 'Copy the enroll line' }).click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await line.textContent());
    await shot(page, 'machines');
    const withdraw = page.getByRole('button', { name: /Withdraw the code for Browser test/ });
    if (gw.mock) return;
    await withdraw.click();
    await withdraw.waitFor({ state: 'detached' });
  }));

  test('shows one machine with who can reach it', as('admin', async (page) => {
    await page.goto(`${gw.url}/machines/${gw.devices[0].name}`);
    await page.getByRole('heading', { name: 'Who can reach it' }).waitFor();
    await page.getByRole('heading', { name: 'Who was on it' }).waitFor();
    await shot(page, 'machine');
  }));

  test('that wait are let in under the key that they show, labelled and revoked', as('admin', async (page) => {
    if (gw.mock) return;
    await page.goto(gw.url + '/machines');
    await page.click('#new-code');
    await page.fill('#jc-site', gw.devices[0].site ?? 'plant-north');
    await page.getByRole('button', { name: 'Make the code' }).click();
    const line = page.locator('.copy code', { hasText: 'sallyport-agent enroll sp1-' });
    await line.waitFor();
    const machine = waitingMachine((await line.textContent()).split(' ').at(-1));
    try {
      const row = page.getByRole('row', { name: machine.key.slice(0, 4) });
      await row.waitFor();
      assert.equal((await row.locator('code').textContent()).replaceAll(' ', ''), machine.key.slice(0, 16));
      const waits = page.getByRole('navigation', { name: 'Main' }).locator('.count');
      await waits.waitFor();
      assert.equal((await waits.textContent()).match(/\d+/)[0], '1');
      await row.getByRole('button', { name: /^Admit/ }).click();
      await page.fill('#ad-name', 'browser-1');
      await page.getByRole('button', { name: 'Admit with this key' }).click();
      await page.getByText('browser-1 is admitted.').waitFor();
      await waits.waitFor({ state: 'detached', timeout: 5000 }); // it would be counted again after 15 s
      await page.goto(gw.url + '/machines/browser-1');
      await page.getByText('The label "kind" is missing, and the policy needs it.').waitFor();
      await page.getByRole('button', { name: 'Labels…' }).click();
      await page.fill('#rl-labels', 'kind=press, hall=2');
      await page.getByRole('button', { name: 'Set labels' }).click();
      await page.getByText('The label "kind" is missing').waitFor({ state: 'detached' });
      await page.getByRole('button', { name: 'Revoke…' }).click();
      await page.getByRole('button', { name: 'Revoke browser-1' }).click();
      await page.getByText('browser-1 is revoked.').waitFor();
      await page.getByRole('button', { name: 'Revoke…' }).waitFor({ state: 'detached' });
    } finally {
      machine.forget();
    }
  }));

  test('are found at 390 by a page of its own', as('technician', async (page) => {
    await page.goto(gw.url + '/');
    await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Find' }).click();
    await page.waitForURL(/\/find$/);
    await page.fill('#find', gw.devices[0].name);
    await page.locator('.found li', { hasText: gw.devices[0].name }).first().waitFor();
    await page.press('#find', 'Enter');
    await page.waitForURL(new RegExp(`/machines/${gw.devices[0].name}$`));
  }, { viewport: narrow }));

  test('that are not there and not visible read the same', as('technician', async (page) => {
    await page.goto(gw.url + '/machines/no-such-machine');
    await page.getByText('No machine of this name is visible to you.').waitFor();
  }));
});

describe('requests', () => {
  test('are asked for, narrowed by the approver, used and taken away', as('technician', async (page) => {
    if (gw.mock) return;
    const approver = await b.open('approver');
    try {
      await approver.goto(gw.url + '/');
      await approver.waitForURL('**/requests'); // what an approver comes for
      await approver.waitForSelector('.empty');
      assert.deepEqual(await bothThemes(approver), []);

      await page.goto(gw.url + '/');
      await page.getByRole('link', { name: 'Request access to press-2' }).click();
      await page.getByRole('button', { name: 'Request access…' }).click();
      await page.getByRole('dialog').waitFor();
      assert.deepEqual(await bothThemes(page), []);
      await shot(page, 'ask');
      await page.fill('#ask-reason', 'replace the sensor of the pump');
      await page.getByRole('button', { name: 'Send request' }).click();
      await page.waitForURL('**/requests/*');
      await page.waitForSelector('text=pending');
      assert.equal(await page.getByRole('button', { name: 'Approve…' }).count(), 0, 'one can approve one\'s own');
      await shot(page, 'request-own');

      await approver.locator('#waiting a[data-row]').click(); // without a reload
      await approver.waitForURL('**/requests/*');
      await approver.waitForSelector('h1:text("Request of Tess Technician for press-2")');
      assert.match(await approver.textContent('main'), /replace the sensor of the pump/);
      assert.deepEqual(await bothThemes(approver), []);
      await shot(approver, 'request');
      await approver.getByRole('button', { name: 'Approve…' }).click();
      await approver.getByText('15 min', { exact: true }).click();
      await shot(approver, 'approve');
      assert.deepEqual(await bothThemes(approver), []);
      await approver.getByRole('button', { name: 'Approve for 15 min' }).click();
      await approver.waitForSelector('text=approved');

      await page.getByRole('link', { name: 'Open terminal' }).click(); // again without a reload
      await page.waitForSelector('#notice li');
      await page.press('#purpose', 'Enter');
      await shows(page, '$');
      await approver.waitForSelector('text=approved and used');

      const left = () => page.textContent('#left b');
      const before = await left();
      await page.click('#more'); // a grant of 15 min is within the warnings from its beginning
      await page.waitForSelector('text=The request waits for 1 of shift-leads');
      await shot(page, 'more-time-asked');
      assert.deepEqual(await bothThemes(page), []);
      await approver.goto(gw.url + '/requests');
      await approver.locator('#waiting a[data-row]').click();
      await approver.waitForURL('**/requests/*');
      await approver.getByRole('button', { name: 'Approve…' }).click();
      await approver.getByText('15 min', { exact: true }).click();
      await approver.getByRole('button', { name: /^Approve/ }).last().click();
      await approver.waitForSelector('text=approved');
      await page.waitForSelector('text=the session continues until'); // by itself, in the same shell
      assert.equal(await page.getByText('More time requested.').count(), 0, 'what was asked for is there');
      await shot(page, 'more-time');
      assert.notEqual(await left(), before);
      await page.keyboard.type('echo on$((1+1))\n');
      await shows(page, 'on2');

      const first = await asRole('approver', 'GET', '/api/v1/grants?page=1&size=50');
      const active = (await first.json()).grants.filter((g) => g.state === 'active');
      assert.equal(active.length, 2, 'the first grant and the further one');
      const gone = await asRole('approver', 'POST', `/api/v1/requests/${active[1].id}/withdraw`, { reason: 'one is enough' });
      assert.ok(gone.ok, await gone.text());
      await approver.getByRole('button', { name: 'Withdraw…' }).click();
      await approver.fill('#end-reason', 'the line runs again');
      await approver.getByRole('button', { name: 'Withdraw', exact: true }).click();
      await page.waitForSelector('#ended');
      assert.match(await page.textContent('main'), /changed during the session/);
      await page.goto(gw.url + '/requests');
      await page.waitForSelector('#all [data-row]');
      await shot(page, 'requests');
      assert.deepEqual(await bothThemes(page), []);
    } finally {
      await approver.context().close();
    }
  }));

  test('are denied with a reason that the asker reads, at 390', as('technician', async (page) => {
    if (gw.mock) return;
    const answer = await asRole('technician', 'POST', '/api/v1/requests', { device: 'press-2', actions: ['shell'], minutes: 10, reason: 'look' });
    const q = await answer.json();
    assert.ok(answer.ok, JSON.stringify(q));
    const denied = await asRole('approver', 'POST', `/api/v1/requests/${q.id}/deny`, { reason: 'production runs until six' });
    assert.ok(denied.ok, await denied.text());
    await page.goto(`${gw.url}/requests/${q.id}`);
    await page.waitForSelector('text=production runs until six');
    await shot(page, 'request-denied-390');
    assert.deepEqual(await bothThemes(page), []);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(over <= 0, `the page is ${over} px wider than the window`);
  }, { viewport: narrow }));

  test('of others read as ones that do not exist', as('technician', async (page) => {
    if (gw.mock) return;
    await page.goto(`${gw.url}/requests/aaaaaaaaaaaaaaaaaaaaaaaaaa`);
    await page.waitForSelector('text=No request of this address is visible to you');
  }));
});

describe('an emergency', () => {
  test('is loud, used at once and reviewed by an officer', as('technician', async (page) => {
    if (gw.mock) return;
    const policy = await (await asRole('officer', 'GET', '/api/v1/policy')).json();
    const rule = '\n[[request]]\nid = "E1"\nwhy = "Nobody answers at night."\nemergency = true\nwho = ["technicians"]\nrole = "maintain"\ndevices = { kind = "press" }\nat_most = "30m"\nagree = "nobody"\ntell = ["shift-leads"]\nreview_within = "24h"\n';
    const files = policy.files.map((f) => ({ name: f.name, text: f.text + rule }));
    const applied = await asRole('admin', 'POST', '/api/v1/policy/apply', { files, reason: 'nights' });
    assert.ok(applied.ok, await applied.text());
    await page.goto(`${gw.url}/machines/press-3`);
    await page.getByRole('button', { name: 'Emergency access under rule E1…' }).click();
    await page.waitForSelector('#loud');
    await shot(page, 'emergency-ask');
    assert.deepEqual(await bothThemes(page), []);
    await page.fill('#ask-reason', 'the line burns');
    await page.getByRole('button', { name: 'Use emergency access' }).click();
    await page.waitForURL('**/requests/*');
    await page.waitForSelector('h1:text("Your emergency access to press-3")');
    await page.getByRole('link', { name: 'Open terminal' }).waitFor();
    await shot(page, 'emergency');
    assert.deepEqual(await bothThemes(page), []);
    const id = new URL(page.url()).pathname.split('/')[2];
    const over = await asRole('technician', 'POST', `/api/v1/requests/${id}/withdraw`, { reason: 'the fire is out' });
    assert.ok(over.ok, await over.text());
    const officer = await b.open('officer');
    try {
      await officer.goto(gw.url + '/requests');
      await officer.locator('#review a[data-row]').click();
      await officer.fill('#note', 'a fire, nothing else was done');
      await shot(officer, 'emergency-review');
      assert.deepEqual(await bothThemes(officer), []);
      await officer.getByRole('button', { name: 'Record review' }).click();
      await officer.waitForSelector('text=a fire, nothing else was done');
      await page.waitForSelector('text=reviewed'); // without a reload
      await shot(officer, 'emergency-reviewed');
    } finally {
      await officer.context().close();
    }
  }));
});

describe('a rule that wants a fresh second factor', () => {
  test('sends the person to sign in again and back to what they were doing', as(null, async (page) => {
    if (gw.mock) return;
    await b.signIn(page, 'technician'); // a sign-in of its own: the one that the other tests share is not replaced
    const policy = await (await asRole('officer', 'GET', '/api/v1/policy')).json();
    const apply = async (files, reason) => {
      const applied = await asRole('admin', 'POST', '/api/v1/policy/apply', { files, reason });
      assert.ok(applied.ok, await applied.text());
    };
    const rule = '\n[[require]]\nid = "G9"\nwhy = "People prove a second factor."\nfor = "people"\nmfa_within = "30m"\n';
    const before = policy.files.map((f) => ({ name: f.name, text: f.text }));
    await apply(before.map((f) => ({ name: f.name, text: f.text + rule })), 'a second factor');
    try {
      await page.goto(`${gw.url}/live/new?device=${gw.devices[0].name}&login=${gw.devices[0].login}`);
      await page.fill('#purpose', 'look at the pump');
      await page.press('#purpose', 'Enter');
      await page.waitForSelector('#step-up');
      await shot(page, 'step-up');
      assert.deepEqual(await bothThemes(page), []);
      await page.click('#step-up');
      const user = gw.users.find((u) => u.name === 'technician');
      await page.fill('[name=username]', user.name); // although the provider still knows them
      await page.fill('[name=password]', user.password);
      await page.press('[name=password]', 'Enter');
      await page.waitForURL('**/live/new?*');
      assert.equal(await page.inputValue('#purpose'), 'look at the pump');
    } finally {
      await apply(before, 'as before');
    }
  }));
});

describe('accessibility: axe finds nothing', () => {
  const pages = [
    ['signin', null, () => '/signin', 'main a.btn'],
    ['mywork', 'technician', () => '/', '[data-row]'],
    ['sessions', 'officer', () => '/sessions', '#sessions'],
    ['machines', 'admin', () => '/machines', '#fleet'],
    ['machine', 'admin', () => '/machines/' + gw.devices[0].name, '#onit'],
    ['before', 'technician', () => `/live/new?device=${gw.devices[0].name}&login=${gw.devices[0].login}`, '#notice li'],
    ['session', 'officer', () => new URL(recorded).pathname, '#play'],
    ['find', 'technician', () => '/find', '.found li'],
    ['missing', 'technician', () => '/nothing/here', '.empty'],
  ];
  for (const [name, who, path, ready] of pages) {
    for (const [look, options] of [['light', { colorScheme: 'light', viewport: wide }], ['dark', { colorScheme: 'dark', viewport: wide }], ['390', { viewport: narrow }]]) {
      test(`${name}, ${look}`, as(who, async (page) => {
        await page.goto(gw.url + path());
        await page.waitForSelector(ready);
        await page.waitForTimeout(400);
        await shot(page, `${name}-${look}`);
        assert.deepEqual(await violations(page), []);
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(over <= 0, `the page is ${over} px wider than the window`);
      }, options));
    }
  }

  for (const [look, viewport] of [['1440', wide], ['390', narrow]]) {
    test(`live, ${look}`, as('technician', async (page) => {
      await openTerminal(page, gw);
      await shot(page, `live-${look}`);
      assert.deepEqual(await bothThemes(page), []);
      await page.click('#end');
      await page.getByRole('dialog').waitFor();
      assert.deepEqual(await bothThemes(page), []);
      await page.click('#end-now');
      await page.waitForSelector('#ended');
      assert.deepEqual(await bothThemes(page), []);
    }, { viewport }));
  }

  test('dialogs', as('admin', async (page) => {
    await page.goto(gw.url + '/machines');
    await page.click('#new-code');
    await page.getByRole('dialog').waitFor();
    assert.deepEqual(await violations(page), []);
    await page.keyboard.press('Escape');
    await page.click('.me');
    await page.getByRole('dialog').waitFor();
    assert.deepEqual(await violations(page), []);
  }));
});

describe('What cannot be read', () => {
  const open = (page, address) => () => page.goto(gw.url + address);
  test('is said where it should stand, with why and what to do', as('admin', async (page) => {
    if (gw.mock) return;
    const machine = `/machines/${gw.devices[0].name}`;
    for (const [address, asks] of [['/', '/api/v1/me'], ['/sessions', '/api/v1/sessions'], ['/machines', '/api/v1/devices'], ['/machines', '/api/v1/enroll-tokens'], ['/find', '/api/v1/devices'],
      [machine, '/api/v1/devices/' + gw.devices[0].name], [machine, '/api/v1/work'], [machine, '/api/v1/sessions'], [machine, '/api/v1/policy/who-can']]) {
      await fails(page, asks, open(page, address));
    }
  }));

  test('of one\'s own work too, and beside the terminal', as('technician', async (page) => {
    if (gw.mock) return;
    await fails(page, '/api/v1/work', open(page, '/'));
    await fails(page, '/api/v1/work', () => openTerminal(page, gw));
  }));

  test('of a record too', as('officer', async (page) => {
    if (gw.mock) return;
    for (const asks of ['', '/timeline', '/transcript']) {
      const path = '/api/v1/sessions/' + new URL(recorded).pathname.split('/').pop() + asks;
      await fails(page, path, async () => {
        await page.goto(recorded);
        if (asks === '/transcript') await page.getByRole('tab', { name: 'Output' }).click();
      });
    }
  }));
});

test('no page had an error of its own, and no policy refused anything', () => assert.deepEqual(b.faults, []));

/** Waits for something true, and gives it. */
async function until(fn, last) {
  for (const end = Date.now() + 15_000; ; ) {
    const v = await fn();
    if (v) return v;
    if (Date.now() > end) throw new Error('waited in vain' + (last ? `; last was: ${await last()}` : ''));
    await new Promise((r) => setTimeout(r, 100));
  }
}
