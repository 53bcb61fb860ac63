// A stand-in for the gateway while the web app is worked on: serves web/dist with the real policies, answers the API from
// samples, and has a terminal that echoes. Sign-in takes any user of the samples with the password "pw".
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { samples } from './samples.mjs';

const dist = join(import.meta.dirname, '../../web/dist');
const kinds = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml', '.wasm': 'application/wasm' };
const policy = (script, style) => `default-src 'none'; script-src ${script}; style-src ${style}; img-src 'self'; font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`;
const policies = { 'index.html': policy("'self'", "'self'"), 'live.html': policy("'self'", "'self' 'unsafe-inline'"), 'replay.html': policy("'self' 'wasm-unsafe-eval'", "'self'") };

function documentFor(path) {
  const [first, rest] = path.slice(1).split('/');
  return first === 'live' && rest ? 'live.html' : first === 'sessions' && rest ? 'replay.html' : 'index.html';
}

export async function startMock(port = 0) {
  const state = { ...samples(), signedIn: new Map(), tickets: new Map() };
  const server = createServer((req, res) => handle(state, req, res));
  server.on('upgrade', (req, socket) => terminal(state, req, socket));
  await new Promise((done) => server.listen(port, '127.0.0.1', done));
  const url = `http://localhost:${server.address().port}`;
  const ready = { url, users: Object.entries(state.people).map(([name, me]) => ({ name, role: me.roles[0], password: 'pw' })), devices: [{ name: 'press-1', login: 'svc' }] };
  return { url, ready, state, stop: () => new Promise((done) => (server.closeAllConnections(), server.close(done))) };
}

async function handle(state, req, res) {
  const u = new URL(req.url, 'http://mock');
  const path = u.pathname;
  const send = (status, body, type = 'application/json', more = {}) => (res.writeHead(status, { 'Content-Type': type, ...more }), res.end(typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)));
  const problem = (status, reason, detail, more = {}) => send(status, { title: 'x', status, reason, detail, ...more }, 'application/problem+json');
  let raw = '';
  for await (const c of req) raw += c;
  if (path.startsWith('/api/')) {
    const who = state.signedIn.get(/sallyport=(\w+)/.exec(req.headers.cookie ?? '')?.[1]);
    return api(state, who, req.method, path, u.searchParams, raw ? JSON.parse(raw) : {}, send, problem);
  }
  if (path.startsWith('/login/')) return send(303, '', 'text/plain', { Location: '/idp/authorize?back=' + encodeURIComponent(u.searchParams.get('next') ?? '/') });
  if (path === '/idp/authorize') {
    const form = new URLSearchParams(raw);
    const name = form.get('username');
    if (req.method === 'POST' && state.people[name] && form.get('password') === 'pw') {
      const id = randomBytes(8).toString('hex');
      state.signedIn.set(id, name);
      return send(303, '', 'text/plain', { Location: u.searchParams.get('back'), 'Set-Cookie': `sallyport=${id}; Path=/; HttpOnly` });
    }
    return send(200, '<!doctype html><html lang="en"><title>Sign in</title><main><h1>Sign in</h1><form method="post"><label>User <input name="username"></label><label>Password <input name="password" type="password"></label><button>Sign in</button></form></main></html>', 'text/html');
  }
  if (path === '/logout') return send(200, { redirect: '/signin' }, 'application/json', { 'Set-Cookie': 'sallyport=; Path=/; Max-Age=0' });
  const file = join(dist, path);
  if (extname(path) && existsSync(file + '.gz')) return send(200, readFileSync(file + '.gz'), kinds[extname(path)], { 'Content-Encoding': 'gzip' });
  if (extname(path) && path !== '/' && existsSync(file)) return send(200, readFileSync(file), kinds[extname(path)] ?? 'application/octet-stream');
  if (extname(path)) return send(404, 'not found', 'text/plain');
  const doc = documentFor(path);
  return send(200, readFileSync(join(dist, doc)), 'text/html; charset=utf-8', { 'Content-Security-Policy': policies[doc], 'Referrer-Policy': 'no-referrer' });
}

function api(state, who, method, path, q, body, send, problem) {
  if (path === '/api/v1/signin') return send(200, state.signin);
  if (!who) return problem(401, 'signin', 'nobody is signed in', { hint: 'Sign in.' });
  const m = /^\/api\/v1\/(\w[\w-]*)(?:\/([^/]+))?(?:\/(.+))?$/.exec(path);
  const [, what, one, sub] = m ?? [];
  const session = () => state.sessions.find((s) => s.id.startsWith(one));
  switch (`${method} ${what}${one ? ' one' : ''}${sub ? ' ' + sub : ''}`) {
    case 'GET me':
      return send(200, state.people[who]);
    case 'GET work':
      return send(200, who === 'technician' ? { devices: state.work, recent: state.sessions } : { devices: [], recent: [] });
    case 'GET devices':
      return send(200, state.devices);
    case 'GET devices one': {
      const d = state.devices.find((x) => x.name === one);
      return d ? send(200, d) : problem(404, 'not-found', 'no machine of this name is visible to you');
    }
    case 'POST devices one admit': {
      const d = state.devices.find((x) => x.name === one);
      Object.assign(d, { state: 'ok', online: true, admitted_by: who }, body.labels && { labels: body.labels }, body.site && { site: body.site });
      return send(200, d);
    }
    case 'POST devices one revoke':
      Object.assign(state.devices.find((x) => x.name === one), { state: 'revoked', online: false });
      return send(204, '');
    case 'GET enroll-tokens':
      return send(200, state.tokens);
    case 'POST enroll-tokens': {
      const t = { id: 't' + state.tokens.length, created: new Date().toISOString(), created_by: who, expires: new Date(Date.now() + 3600_000).toISOString(), uses: body.uses ?? 1, uses_left: body.uses ?? 1, site: body.site, name: body.name, labels: body.labels };
      state.tokens.unshift(t);
      return send(200, { ...t, code: 'sp1-example', command: 'sudo sallyport-agent enroll sp1-nb2hi4dthixs653xo4xgkylonzzxkylf' });
    }
    case 'GET requests':
      return send(200, { requests: [], total: 0, page: 1, size: 25 });
    case 'GET sessions':
      return send(200, { sessions: state.sessions.slice(0, 25), total: state.sessions.length, page: 1, size: 25 });
    case 'POST sessions': {
      if (body.device !== 'press-1') return problem(403, 'denied', `you may not open a terminal on ${body.device} now: no rule of the policy gives it`, { hint: 'Rule R1 gives it by request.', can_ask: [{ rule: 'R1', text: 'Repair as svc, one shift lead agrees' }] });
      const s = { ...state.sessions[0], id: randomBytes(13).toString('hex'), device: body.device, login: body.login, purpose: body.purpose ?? '', ticket: body.ticket, state: 'live', record: 'recording', reason: '', asked: new Date().toISOString(), started: new Date().toISOString(), ended: undefined, mine: true };
      state.sessions.unshift(s);
      const ticket = randomBytes(8).toString('hex');
      state.tickets.set(ticket, s);
      return send(200, { session: s.id, ticket, socket: '/api/v1/terminal', login: body.login, rule: 'A1', until: new Date(Date.now() + 42 * 60_000).toISOString(), notice: state.signin.notice });
    }
    case 'GET sessions one': {
      const s = session();
      return s ? send(200, { ...s, parts: s.state === 'refused' ? [] : [{ part: 0, file: s.id + '.srec', bytes: 1200, started: s.started, state: s.record, open_leaf: 48209, close_leaf: s.ended ? 48230 : undefined }], decision: 'No rule gives press-11 outside office hours.', policy_sha256: '9f2c61d07be4aa0c7c1e54f3ad2e6c3f1b94c8ed3d5570f8a2a9d6c1e07b3a44', rights: { end: s.state === 'live', replay: s.state !== 'refused', export: who === 'officer' } }) : problem(404, 'not-found', 'no session of this address is visible to you');
    }
    case 'GET sessions one timeline':
      return send(200, state.timelineOf(session()));
    case 'GET sessions one replay/index.json':
      return send(200, { version: 1, duration: state.timelineOf(session()).duration, term: { cols: 100, rows: 24 }, segments: [{ start: 0, url: '0.json' }], markers: [] });
    case 'GET sessions one replay/0.json':
      return send(200, { snapshot: { cols: 100, rows: 24, init: '' }, events: [...state.eventsOf(session()), [state.timelineOf(session()).duration, 'o', '']] });
    case 'GET sessions one transcript':
      return send(200, state.eventsOf(session()).filter((e) => e[1] === 'o').map((e) => e[2].replace(/\x1b\[[\d;]*m/g, '').replace(/\r/g, '')).join(''), 'text/plain');
    case 'POST sessions one verify':
      return send(200, state.verdict);
    case 'POST sessions one end':
      Object.assign(session(), { state: 'closed', reason: 'ended by ' + who, ended: new Date().toISOString(), record: 'complete' });
      return send(204, '');
    case 'GET log one':
      return send(200, { key: 'demo+1234', checkpoint: '', size: 48211 });
    case 'GET policy one':
      return send(200, [{ user: 'Jana Keller', action: 'shell:svc', how: 'now', rule: 'A1' }, { user: 'Ben Osei', action: 'shell:svc', how: 'may ask', rule: 'R1' }]);
  }
  return problem(404, 'not-found', 'nothing here');
}

/** A terminal that echoes, answers a few commands, and ends at exit. */
function terminal(state, req, socket) {
  const key = req.headers['sec-websocket-key'];
  const accept = createHash('sha1').update(key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: sallyport.terminal.v2\r\n\r\n`);
  let s;
  let line = '';
  let size = '';
  const events = [];
  const frame = (op, data) => {
    const head = data.length < 126 ? Buffer.from([0x80 | op, data.length]) : Buffer.from([0x80 | op, 126, data.length >> 8, data.length & 255]);
    if (!socket.destroyed) socket.write(Buffer.concat([head, data]));
  };
  const control = (c) => frame(1, Buffer.from(JSON.stringify(c)));
  const out = (text) => (events.push([(Date.now() - +new Date(s.started)) / 1000, 'o', text]), frame(2, Buffer.concat([Buffer.from([1]), Buffer.from(text)])));
  const prompt = () => out('\x1b[32msvc@press-1\x1b[0m:\x1b[34m~\x1b[0m$ ');
  const end = (c) => {
    Object.assign(s, { state: 'closed', record: 'complete', ended: new Date().toISOString(), reason: c.reason, exit_status: c.status });
    state.recorded.set(s.id, events);
    control({ t: 'exit', ...c });
    frame(8, Buffer.from([3, 232]));
    socket.end();
  };
  const run = (cmd) => {
    if (cmd === 'exit') return end({ status: 0, reason: 'exit' });
    if (cmd === 'stty size') out(size + '\r\n');
    else if (cmd === 'warn') control({ t: 'notice', kind: 'refused', text: 'file to /etc/hydrauld.conf. You may write to /opt/press/incoming' });
    else if (cmd === 'drop') return socket.destroy();
    else if (cmd.startsWith('echo ')) out(cmd.slice(5).replace(/["']/g, '') + '\r\n');
    else if (cmd === 'demo') out(samplesScreen);
    prompt();
  };
  const typed = (text) => {
    for (const c of text) {
      if (c === '\r') {
        out('\r\n');
        const cmd = line;
        line = '';
        run(cmd);
      } else {
        line += c;
        out(c);
      }
    }
  };
  let buffer = Buffer.alloc(0);
  socket.on('data', (d) => {
    buffer = Buffer.concat([buffer, d]);
    while (buffer.length >= 6) {
      let n = buffer[1] & 127;
      let at = 2;
      if (n === 126) ((n = buffer.readUInt16BE(2)), (at = 4));
      if (buffer.length < at + 4 + n) return;
      const op = buffer[0] & 15;
      const mask = buffer.subarray(at, at + 4);
      const data = Buffer.from(buffer.subarray(at + 4, at + 4 + n).map((b, i) => b ^ mask[i % 4]));
      buffer = buffer.subarray(at + 4 + n);
      if (op === 8) return socket.end();
      if (op === 2) {
        typed(data.subarray(1).toString());
        control({ t: 'ack', bytes: data.length - 1 });
      }
      if (op !== 1) continue;
      const c = JSON.parse(data.toString());
      if (c.ticket) {
        s = state.tickets.get(c.ticket);
        if (!s) return (control({ t: 'error', reason: 'denied', text: 'this ticket is unknown, used or older than ten seconds', hint: 'Open the session again.' }), socket.end());
        state.tickets.delete(c.ticket);
        control({ t: 'ready', session: s.id, until: new Date(Date.now() + 42 * 60_000).toISOString() });
        prompt();
      } else if (c.t === 'resize') size = `${c.rows} ${c.cols}`;
      else if (c.t === 'end') end({ reason: 'technician' });
    }
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    if (s?.state !== 'live') return;
    Object.assign(s, { state: 'closed', record: 'complete', ended: new Date().toISOString(), reason: 'device lost' });
    state.recorded.set(s.id, events);
  });
}

const samplesScreen = 'sudo systemctl status press-hydraulics\r\n\x1b[32m●\x1b[0m press-hydraulics.service - Hydraulic control loop\r\n     Active: \x1b[33mdegraded\x1b[0m since Mon\r\n┌──────────┬─────┐\r\n│ Zürich ✓ │ 日本 │\r\n└──────────┴─────┘\r\n';

if (process.argv[1] === import.meta.filename) {
  const m = await startMock(Number(process.argv[2] ?? 0));
  console.log(m.url);
}
