// The built-in provider as a client of somebody else's sees it: npm openid-client. The first argument is JSON: issuer, redirect
// and afterLogout, the control address that moves the provider's clock, people. It prints one line of JSON for each check.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import * as oidc from 'openid-client';
import { Browser } from './browser.mjs';

const given = JSON.parse(process.argv[2]);
const insecure = { execute: [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks] }; // signatures too, though the channel is trusted
const web = await oidc.discovery(new URL(given.issuer), 'web', given.secret, oidc.ClientSecretPost(given.secret), insecure);
const basic = await oidc.discovery(new URL(given.issuer), 'web', given.secret, oidc.ClientSecretBasic(given.secret), insecure);
const tool = await oidc.discovery(new URL(given.issuer), 'tool', undefined, oidc.None(), insecure);
const grant = 'urn:ietf:params:oauth:grant-type:device_code';

// forward moves the provider's clock, and tells the clients so.
async function forward(seconds) {
  await fetch(`${given.control}?forward=${seconds}s`, { method: 'POST' });
  for (const c of [web, basic, tool]) c[oidc.clockSkew] = (c[oidc.clockSkew] ?? 0) + seconds;
}

const refused = (code) => (e) => e.error === code || assert.fail(`got ${e.error ?? e}, want ${code}`);

async function request(config, more = {}) {
  const verifier = oidc.randomPKCECodeVerifier();
  const checks = { pkceCodeVerifier: verifier, expectedState: oidc.randomState(), expectedNonce: oidc.randomNonce(), idTokenExpected: true };
  const to = oidc.buildAuthorizationUrl(config, {
    redirect_uri: given.redirect, scope: 'openid profile email', state: checks.expectedState, nonce: checks.expectedNonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...more,
  });
  return { to, checks };
}

async function signIn(browser, config = web, more = {}) {
  const { to, checks } = await request(config, more);
  await browser.open(to);
  if (browser.at.href.startsWith(given.issuer)) await browser.submit({ username: 'anna', password: given.password });
  return { at: browser.at, checks };
}

async function tokens(browser = new Browser(), config = web, more = {}) {
  const { at, checks } = await signIn(browser, config, more);
  if (more.max_age) checks.maxAge = Number(more.max_age);
  return oidc.authorizationCodeGrant(config, at, checks);
}

// totp is RFC 6238 with the usual choices.
function totp(secret, at) {
  const bits = [...secret].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(at / 30)));
  const sum = createHmac('sha1', key).update(step).digest();
  return String((sum.readUInt32BE(sum[19] & 15) & 0x7fffffff) % 1e6).padStart(6, '0');
}

const checks = {
  async 'discovery says what there is'() {
    const m = web.serverMetadata();
    assert.ok(m.supportsPKCE() && m.authorization_response_iss_parameter_supported && m.backchannel_logout_supported);
    assert.deepEqual(m.id_token_signing_alg_values_supported, ['ES256']);
  },
  async 'code flow with PKCE, nonce, state and max_age'() {
    const t = await tokens(undefined, web, { max_age: '3600' });
    const c = t.claims();
    assert.deepEqual([c.name, c.email, c.groups, c.amr], ['A. Berg', 'anna@example.com', ['technicians'], ['pwd']]);
    assert.ok(c.auth_time && c.sid && c.at_hash);
  },
  async 'code flow with the secret in the header'() { assert.ok((await tokens(undefined, basic)).id_token); },
  async 'userinfo speaks of the same person'() {
    const t = await tokens();
    const info = await oidc.fetchUserInfo(web, t.access_token, t.claims().sub);
    assert.deepEqual([info.name, info.groups], ['A. Berg', ['technicians']]);
    await assert.rejects(oidc.fetchUserInfo(web, 'made-up', t.claims().sub), (e) => e.status === 401);
  },
  async 'refresh rotates, and reuse revokes the family'() {
    const first = await tokens();
    const second = await oidc.refreshTokenGrant(web, first.refresh_token);
    assert.notEqual(second.refresh_token, first.refresh_token);
    assert.equal(second.claims().sub, first.claims().sub);
    assert.equal(second.claims().auth_time, first.claims().auth_time);
    await assert.rejects(oidc.refreshTokenGrant(web, first.refresh_token), refused('invalid_grant'));
    await assert.rejects(oidc.refreshTokenGrant(web, second.refresh_token), refused('invalid_grant'));
    await assert.rejects(oidc.fetchUserInfo(web, second.access_token, first.claims().sub), (e) => e.status === 401);
  },
  async 'a wrong verifier gets nothing'() {
    const { at, checks } = await signIn(new Browser());
    await assert.rejects(oidc.authorizationCodeGrant(web, at, { ...checks, pkceCodeVerifier: oidc.randomPKCECodeVerifier() }), refused('invalid_grant'));
  },
  async 'a code is good once'() {
    const { at, checks } = await signIn(new Browser());
    const t = await oidc.authorizationCodeGrant(web, at, checks);
    await assert.rejects(oidc.authorizationCodeGrant(web, at, checks), refused('invalid_grant'));
    await assert.rejects(oidc.refreshTokenGrant(web, t.refresh_token), refused('invalid_grant'));
  },
  async 'a wrong redirect_uri is shown and never followed'() {
    const { to } = await request(web, { redirect_uri: given.redirect + '/other' });
    const b = await new Browser().open(to);
    assert.deepEqual([b.status, b.at.href.startsWith(given.issuer)], [400, true]);
  },
  async 'a code of one redirect_uri is not good for another'() {
    const { at, checks } = await signIn(new Browser());
    const other = new URL(at.href.replace('/callback', '/elsewhere'));
    await assert.rejects(oidc.authorizationCodeGrant(web, other, checks), refused('invalid_grant'));
  },
  async 'prompt=none without a session says login_required'() {
    const { to, checks } = await request(web, { prompt: 'none' });
    const b = await new Browser().open(to);
    await assert.rejects(oidc.authorizationCodeGrant(web, b.at, checks), refused('login_required'));
  },
  async 'a second factor shows in amr'() {
    const { to, checks } = await request(web);
    const b = await new Browser().open(to);
    await b.submit({ username: 'otto', password: given.password });
    await b.submit({ code: totp(given.totp, Date.now() / 1000 + (web[oidc.clockSkew] ?? 0)) });
    assert.deepEqual((await oidc.authorizationCodeGrant(web, b.at, checks)).claims().amr, ['pwd', 'otp', 'mfa']);
  },
  async 'the device grant: pending, slow_down, allowed'() {
    const d = await oidc.initiateDeviceAuthorization(tool, { scope: 'openid profile' });
    const ask = () => oidc.genericGrantRequest(tool, grant, { device_code: d.device_code });
    await assert.rejects(ask(), refused('authorization_pending'));
    await assert.rejects(ask(), refused('slow_down'));
    const b = await new Browser().open(d.verification_uri_complete);
    await b.submit({ username: 'anna', password: given.password });
    await b.submit({ answer: 'allow' });
    await forward(20);
    const t = await oidc.pollDeviceAuthorizationGrant(tool, { ...d, interval: 0.01 });
    assert.equal(t.claims().name, 'A. Berg');
    await assert.rejects(ask(), refused('invalid_grant'));
  },
  async 'the device grant: denied'() {
    const d = await oidc.initiateDeviceAuthorization(tool, { scope: 'openid' });
    const b = await new Browser().open(d.verification_uri_complete);
    await b.submit({ username: 'anna', password: given.password });
    await b.submit({ answer: 'deny' });
    await assert.rejects(oidc.pollDeviceAuthorizationGrant(tool, { ...d, interval: 0.01 }), refused('access_denied'));
  },
  async 'the device grant: expired'() {
    const d = await oidc.initiateDeviceAuthorization(tool, { scope: 'openid' });
    await forward(d.expires_in);
    await assert.rejects(oidc.genericGrantRequest(tool, grant, { device_code: d.device_code }), refused('expired_token'));
  },
  async 'signing out at the client ends tokens and session'() {
    const b = new Browser();
    const t = await tokens(b);
    await b.open(oidc.buildEndSessionUrl(web, { id_token_hint: t.id_token, post_logout_redirect_uri: given.afterLogout, state: 'x' }));
    assert.equal(b.at.href, given.afterLogout + '?state=x');
    await assert.rejects(oidc.refreshTokenGrant(web, t.refresh_token), refused('invalid_grant'));
    const { to, checks } = await request(web, { prompt: 'none' });
    await b.open(to);
    await assert.rejects(oidc.authorizationCodeGrant(web, b.at, checks), refused('login_required'));
  },
};

for (const [name, check] of Object.entries(checks)) {
  const error = await check().then(() => '', (e) => String(e.stack ?? e) + (e.cause ? `\ncause: ${e.cause.stack ?? JSON.stringify(e.cause)}` : ''));
  process.stdout.write(JSON.stringify({ check: name, error }) + '\n');
}
process.stdout.write(JSON.stringify({ done: Object.keys(checks).length }) + '\n');
process.exit(0);
