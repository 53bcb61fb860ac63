// Samples for the stand-in gateway.
const ago = (minutes) => new Date(Date.now() - minutes * 60_000).toISOString();
const ahead = (minutes) => ago(-minutes);

export function samples() {
  const person = (name, role, groups, duties) => ({ name, issuer: 'http://localhost/idp', subject: name, provider: 'Demo', groups, roles: [role], duties, via: 'web', signed_in_at: ago(3), expires: ahead(500), site_name: 'ACME remote service', demo: true });
  const people = {
    technician: person('Jana Keller', 'technician', ['technicians'], []),
    approver: person('Tomasz Nowak', 'approver', ['shift-leads'], ['approve']),
    owner: person('Brauer Metallbau', 'owner', ['owners'], ['own']),
    officer: person('Priya Raman', 'officer', ['compliance'], ['review', 'export']),
    admin: person('Lukas Winter', 'admin', ['administrators'], ['administer']),
  };
  const device = (name, site, more = {}) => ({ name, site, labels: { kind: 'press', maker: 'nord' }, state: 'ok', online: true, last_seen: ago(0), fingerprint: 'SHA256:7f3a91c2e04d5b18x9Qw7eKp0aZr3LmT5uVb8YcN2dF', agent: '0.9.2', address: '203.0.113.40', enrolled_at: ago(60000), admitted_at: ago(59990), admitted_by: 'Lukas Winter', live: 0, log_size: 48209, os: 'Debian 12', host_name: name, ...more });
  const devices = [
    device('press-1', 'Brauer Metallbau, Kassel'),
    device('press-7', 'Brauer Metallbau, Kassel', { live: 1 }),
    device('press-12', 'Nordsee Fisch, Bremerhaven', { online: false, last_seen: ago(170) }),
    device('press-5', 'Brauer Metallbau, Kassel', { state: 'disputed', why: 'two lines came up with one key' }),
    device('till-204', 'Nordsee Fisch, Bremerhaven', { frozen: true, labels: { kind: 'payment-terminal' } }),
    device('press-14', 'Hartmann Guss, Siegen', { state: 'waiting', online: true, serial: 'P4-88213', enrolled_at: ago(2), admitted_at: undefined, admitted_by: undefined }),
    device('till-311', 'Nordsee Fisch', { state: 'waiting', online: true, labels: {}, enrolled_at: ago(41), admitted_at: undefined, fingerprint: 'SHA256:19d4aa73f0c682e1x9Qw7eKp0aZr3LmT5uVb8YcN2dF', problems: ['it has no label kind, so no rule is about it'] }),
  ];
  const session = (id, more) => ({ id: id.padEnd(26, '2'), device: 'press-7', site: 'Brauer Metallbau, Kassel', user: 'Jana Keller', login: 'svc', action: 'shell:svc', pty: true, state: 'closed', asked: ago(200), started: ago(200), ended: ago(162), reason: 'exit', purpose: 'Valve block', ticket: 'TK-48213', rule: 'A1', via: 'web', front: 'browser', address: '203.0.113.9', exit_status: 0, bytes_in: 1904, bytes_out: 88213, hidden: 1, gaps: 0, record: 'complete', mine: true, ...more });
  const sessions = [
    session('b7q4', {}),
    session('c3mk', { device: 'press-3', purpose: 'Firmware 4.2.1', ticket: 'TK-48199', asked: ago(420), started: ago(420), ended: ago(348), hidden: 0, exit_status: 1 }),
    session('d9xa', { device: 'press-1', purpose: 'Read logs', ticket: undefined, asked: ago(1600), started: ago(1600), ended: ago(1596), hidden: 0, record: 'gap', gaps: 1, reason: 'device lost', user: 'Ben Osei', mine: false }),
    session('e2pf', { device: 'press-11', state: 'refused', started: undefined, ended: undefined, purpose: '', ticket: undefined, record: 'empty', reason: 'Outside office hours. Nearest: ask with rule R1.', hidden: 0, bytes_in: 0, bytes_out: 0 }),
  ];
  const right = (login, more = {}) => ({ action: 'shell:' + login, login, text: `Terminal as ${login}`, rule: 'A1', role: 'repair', until: ahead(42), ...more });
  const work = [
    { device: devices[0], can_open: [right('svc')], can_ask: [right('root', { rule: 'R1', until: undefined, open: ['one shift lead agrees', 'ticket needed'] })] },
    { device: devices[1], can_open: [right('svc-ro', { role: 'look', until: ahead(300) }), right('svc')], can_ask: [] },
    { device: devices[2], can_open: [right('svc-ro', { role: 'look', until: ahead(300) })], can_ask: [] },
    { device: devices[4], can_open: [], can_ask: [], refused: 'Frozen by its owner: nobody can start' },
  ];
  const recorded = new Map();
  const events = () => {
    const out = [];
    let t = 0.4;
    const say = (text, pause = 0.6) => (out.push([t, 'o', text]), (t += pause));
    const prompt = '\x1b[32msvc@press-7\x1b[0m:\x1b[34m~\x1b[0m$ ';
    say(prompt);
    for (const [cmd, answer] of [['sudo -i', '[sudo] password for svc: \r\n'], ['systemctl status press-hydraulics', '\x1b[32m●\x1b[0m press-hydraulics.service - Hydraulic control loop\r\n     Active: \x1b[33mdegraded\x1b[0m since Mon\r\n'], ['ls -l /tmp/v.bin', '-rw-r--r-- 1 svc svc 1048576 Nov 23 22:57 /tmp/v.bin\r\n'], ['flash --module valve2 /tmp/v.bin', 'checking image ............ \x1b[31mrefusing to flash: image is not signed\x1b[0m\r\n']]) {
      for (const c of cmd) say(c, 0.12);
      say('\r\n' + answer + prompt, 20);
    }
    say('exit\r\n', 2);
    return out;
  };
  const timeline = (s) => {
    const all = eventsOf(s);
    const began = s?.started ?? ago(200);
    const input = all.filter((e) => e[2].length === 1).map((e, i) => ({ at: e[0], ch: 0, offset: i, bytes: 1, sealed: false, text: e[2] }));
    all.filter((e) => e[2].startsWith('\r\n')).forEach((e) => input.push({ at: e[0], ch: 0, offset: 900, bytes: 1, sealed: false, text: '^M' }));
    if (!recorded.has(s?.id)) input.push({ at: 6, ch: 0, offset: 950, bytes: 14, sealed: true });
    input.sort((a, b) => a.at - b.at);
    return { duration: (all.at(-1)?.[0] ?? 0) + 2, active: 60, started: began, cols: 100, rows: 24, input, commands: [{ at: 2, ch: 0, source: 'exec', argv: ['sudo', '-i'], status: 0 }, { at: 26, ch: 0, source: 'exec', argv: ['systemctl', 'status', 'press-hydraulics'], status: 3 }, { at: 50, ch: 0, source: 'exec', argv: ['ls', '-l', '/tmp/v.bin'], status: 0 }, { at: 74, ch: 0, source: 'exec', argv: ['flash', '--module', 'valve2', '/tmp/v.bin'], status: 1 }].filter((c) => c.at < (all.at(-1)?.[0] ?? 0)), notes: [{ at: 40, kind: 'refused', text: 'Write /opt/press/bin/flash' }], gaps: s?.record === 'gap' ? [{ at: 60, kind: 'gap', text: 'Line lost' }] : [], idle: [{ from: 7, to: 24 }, { from: 31, to: 48 }], whole: true };
  };
  const eventsOf = (s) => recorded.get(s?.id) ?? events();
  return {
    people,
    devices,
    sessions,
    work,
    recorded,
    tokens: [],
    eventsOf,
    timelineOf: timeline,
    signin: {
      site_name: 'ACME remote service',
      notice: ['Every session on a machine is recorded: what you type, what the machine shows, and commands.', 'Compliance officers and the owner of the machine can read it. You can replay your own.', 'What you type where the machine hides it at its own prompt is sealed. Never put a password on a command line.', 'Signing in and opening a session means you know this.'],
      providers: [{ name: 'demo', shown_as: 'Demo account', start: '/login/demo' }],
      demo: true,
    },
    verdict: { ok: true, summary: 'Yes.', levels: 'A, B, log', checks: [{ level: 'A', name: 'No byte is missing or changed, close signed', ok: true, text: '12 chunks' }, { level: 'B', name: 'Reads and agrees with its totals', ok: true, text: '1,904 keys' }, { level: 'log', name: 'Announced before it began, in the log', ok: true, text: '48,209' }] },
  };
}
