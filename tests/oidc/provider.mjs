// A provider of somebody else's: npm oidc-provider on a loopback port. The first argument is JSON: the client, and people by
// name with their groups. It prints one line of JSON with its issuer, then one for each logout token that it has sent. A
// line on standard input replaces people; the end of standard input ends it.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { generateKeyPairSync } from 'node:crypto';
import { Provider } from 'oidc-provider';

console.info = console.error; // the library's notices; standard output is ours
const given = JSON.parse(process.argv[2]);
let people = given.people;
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');

const keys = [
  { ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }), kid: 'rsa', use: 'sig', alg: 'RS256' },
  { ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }), kid: 'ec', use: 'sig', alg: 'ES256' },
];

// account is whoever types the name: this provider takes any password.
const account = (_, sub) => people[sub] && { accountId: sub, claims: () => ({ sub, name: people[sub].name, groups: people[sub].groups }) };

// agreed is the consent that a company's provider gives for its own programs.
async function agreed({ oidc }) {
  const known = oidc.result?.consent?.grantId ?? oidc.session.grantIdFor(oidc.client.clientId);
  if (known) return oidc.provider.Grant.find(known);
  const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
  grant.addOIDCScope('openid profile offline_access');
  await grant.save();
  return grant;
}

// laxCookies: with takesPosts the library insists on SameSite=None, which Chromium takes over https only. On a loopback
// address gateway and provider are one site, so the cookies come along without it.
function laxCookies(res) {
  const set = res.setHeader.bind(res);
  res.setHeader = (name, value) =>
    set(name, /^set-cookie$/i.test(name) ? [].concat(value).map((c) => c.replace(/; samesite=none/i, '')) : value);
}

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: [
      {
        client_id: given.client, client_secret: given.secret, redirect_uris: [given.redirect], post_logout_redirect_uris: [given.afterLogout],
        grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], id_token_signed_response_alg: given.alg,
        backchannel_logout_uri: given.backChannel, backchannel_logout_session_required: true,
      },
    ],
    claims: { openid: ['sub'], profile: ['name', 'groups'] },
    conformIdTokenClaims: !!given.groupsInUserInfo, // by the letter of the specification, claims of a scope are not in the id token
    findAccount: account,
    // The library's own way asks the person, and gives a refresh token only for prompt=consent.
    ...(given.asksConsent ? {} : { loadExistingGrant: agreed, issueRefreshToken: async () => !given.noRefresh }),
    rotateRefreshToken: true,
    pkce: { required: () => true },
    enableHttpPostMethods: !!given.takesPosts, // it demands cookies that come along with a form of another site
    cookies: { ...(given.takesPosts ? { long: { sameSite: 'none' } } : {}), keys: ['a key of this test'], names: { session: given.client + '_session', interaction: given.client + '_it', resume: given.client + '_resume' } },
    features: { devInteractions: { enabled: true }, backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true } },
    // Its own fetch refuses loopback addresses for logout tokens; everything here is on one.
    fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  });
  provider.on('backchannel.success', (_, client, sub, sid) => say({ told: client.clientId, sub, sid }));
  provider.on('backchannel.error', (_, error) => say({ untold: String(error) }));
  provider.on('server_error', (_, error) => say({ error: String(error.stack) }));
  const answer = provider.callback();
  server.on('request', (req, res) => {
    if (given.takesPosts) laxCookies(res);
    answer(req, res);
  });
  say({ issuer });
});

createInterface({ input: process.stdin })
  .on('line', (line) => { people = JSON.parse(line); say({ people: Object.keys(people) }); })
  .on('close', () => process.exit(0));
