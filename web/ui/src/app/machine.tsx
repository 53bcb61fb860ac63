// One machine: its state, what the asker may do there, who was on it, and what an administrator can do with it.
import { useState } from 'preact/hooks';
import { body, client, Failure } from '../api/client';
import type { Device, Me, Right, Session } from '../api/types';
import { deviceShown, recordShown, stateShown } from '../base/session';
import { lengthText, sinceText } from '../base/time';
import { agentVersion, count, plural, sentence, upper } from '../base/words';
import { whyNot } from '../base/work';
import { now } from '../ui/clock';
import { asFailure, useData } from '../ui/data';
import { lazy } from '../ui/lazy';
import { useListKeys } from '../ui/keyboard';
import { OfflineBanner, useOnline } from '../ui/online';
import { Empty, Failed, Loading, Shows, St, StackTable, Time } from '../ui/parts';
import { useTitle } from '../ui/title';
import type { PageProps } from './inside';
import { Labels } from './machines';
import { Reason } from './reason';

const Admit = lazy(() => import('./admit'));
const Revoke = lazy(() => import('./revoke'));
const Relabel = lazy(() => import('./relabel'));
const Ask = lazy(() => import('./ask'));

export default function Machine({ me, at, recount }: PageProps) {
  const name = decodeURIComponent(at.pathname.split('/')[2] ?? '');
  useTitle(name);
  useListKeys();
  const online = useOnline();
  const d = useData(() => body(client.GET('/api/v1/devices/{name}', { params: { path: { name } } })), [name], 5000);
  const [dialog, open] = useState<'admit' | 'revoke' | 'labels' | undefined>();
  const admin = me.duties.includes('administer');
  const done = () => {
    open(undefined);
    d.reload();
    recount();
  };
  if (!d.data) {
    return (
      <main id="main" class="page">
        <OfflineBanner />
        <header class="head">
          <h1 tabIndex={-1}>{name}</h1>
        </header>
        {!d.failure ? <Loading lines={6} /> : d.failure.status === 404 ? <Unseen /> : <Failed failure={d.failure} what="This machine could not be read." retry={d.reload} />}
      </main>
    );
  }
  const m = d.data;
  return (
    <main id="main" class="page side">
      <OfflineBanner />
      <header class="wide head">
        <div>
          <h1 tabIndex={-1}>{m.name}</h1>
          <p>
            <Shows of={deviceShown(m, (t) => sinceText(new Date(t), now()))} /> · {m.site || 'no site'}
          </p>
        </div>
        {admin && (
          <div class="btns">
            {m.state === 'waiting' && (
              <button class="btn primary" type="button" disabled={!online} onClick={() => open('admit')}>
                Admit…
              </button>
            )}
            {m.state !== 'revoked' && (
              <>
                <button class="btn" type="button" disabled={!online} onClick={() => open('labels')}>
                  Labels…
                </button>
                <button class="btn danger" type="button" disabled={!online} onClick={() => open('revoke')}>
                  {m.state === 'waiting' ? 'Refuse…' : 'Revoke…'}
                </button>
              </>
            )}
          </div>
        )}
      </header>
      <Troubles d={m} />
      <div class="stackd wider">
        <Rights name={m.name} me={me} d={m} />
        <OnIt name={m.name} />
      </div>
      <aside class="stackd" aria-label="About this machine">
        <Facts d={m} />
        {admin && m.state === 'ok' && <WhoCan name={m.name} />}
      </aside>
      {dialog === 'admit' && <Admit device={m} onClose={() => open(undefined)} onDone={done} />}
      {dialog === 'revoke' && <Revoke device={m} onClose={() => open(undefined)} onDone={done} />}
      {dialog === 'labels' && <Relabel device={m} onClose={() => open(undefined)} onDone={done} />}
    </main>
  );
}

const Unseen = () => (
  <Empty title="No machine of this name is visible to you.">
    <a class="btn" href="/machines">
      All machines you see
    </a>
  </Empty>
);

function Troubles({ d }: { d: Device }) {
  const skew = Math.abs(d.clock_skew_ms ?? 0);
  const lines = [...(d.problems ?? []), ...(d.why && d.state !== 'ok' ? [d.state === 'revoked' || d.state === 'locked' ? `${d.state}: ${d.why}` : d.why] : []), ...(skew > 5000 ? [`its clock is ${lengthText(skew)} ${d.clock_skew_ms! > 0 ? 'ahead' : 'behind'}`] : []), ...(d.tunnel === 'intercepted' ? ['something on the way opens its TLS line; sessions are still protected inside it'] : [])];
  if (!lines.length) return null;
  return (
    <div class="wide banner warn">
      <ul>
        {lines.map((l) => (
          <li key={l}>{sentence(l)}</li>
        ))}
      </ul>
    </div>
  );
}

/** One mail when it is online again. */
function TellOnline({ d }: { d: Device }) {
  const online = useOnline();
  const [told, tell] = useState(!!d.tell_online);
  const [failure, fail] = useState<Failure | undefined>();
  const params = { path: { name: d.name } };
  const click = async () => {
    try {
      await body(told ? client.DELETE('/api/v1/devices/{name}/tell-online', { params }) : client.POST('/api/v1/devices/{name}/tell-online', { params }));
      tell(!told);
      fail(undefined);
    } catch (err) {
      fail(asFailure(err));
    }
  };
  return (
    <span class="btns">
      {failure && <Failed failure={failure} what="Nothing was changed." />}
      {told && <span class="small muted">You get a mail when it is online.</span>}
      <button class="btn" type="button" disabled={!online} onClick={click}>
        {told ? 'Cancel the mail' : 'Tell me when online'}
      </button>
    </span>
  );
}

function Rights({ name, me, d }: { name: string; me: Me; d: Device }) {
  const work = useData(() => body(client.GET('/api/v1/work')), [name], 10_000);
  const mine = work.data?.devices.find((w) => w.device.name === name);
  const online = useOnline();
  const [rule, ask] = useState<string | undefined>();
  const rules = [...new Set((mine?.can_ask ?? []).filter((r) => r.ask_minutes).map((r) => r.rule))];
  const emergencies = [...new Set((mine?.can_ask ?? []).filter((r) => r.emergency).map((r) => r.rule))];
  return (
    <section class="part" aria-labelledby="may">
      <header>
        <h2 id="may">What you can do here</h2>
        {d.state === 'ok' && !d.online && me.mail && <TellOnline d={d} />}
        {mine?.refused && (d.online ? <St shape="bad">{mine.refused}</St> : <span class="small muted">{whyNot(mine)}</span>)}
      </header>
      {work.failure && <Failed failure={work.failure} what="Your rights could not be read." retry={work.reload} />}
      {!work.data && !work.failure && <Loading />}
      {work.data && !mine?.can_open.length && !mine?.can_ask.length && (
        <p class="muted">{me.groups.length ? `You cannot open a session: no rule of the policy gives ${me.groups.join(', ')} one on this machine.` : 'You cannot open a session: you are in no group, and rights come from groups.'}</p>
      )}
      {mine && (
        <ul class="lines">
          {mine.can_open.map((r) => (
            <OpenLine r={r} d={d} refused={mine.refused} key={r.action} />
          ))}
          {mine.can_ask.map((r) => (
            <li class="row" key={'ask' + r.action}>
              <span>
                {upper(r.text)}
                <span class="sub">{[r.emergency ? 'in an emergency' : 'by request', ...(r.open ?? []), `rule ${r.rule}`].join('; ')}</span>
              </span>
            </li>
          ))}
        </ul>
      )}
      {rules.length > 0 && (
        <div class="btns">
          {rules.map((r) => (
            <button class="btn" type="button" disabled={!online} onClick={() => ask(r)} key={r}>
              {emergencies.includes(r) ? `Emergency access under rule ${r}…` : rules.length - emergencies.length > 1 ? `Request under rule ${r}…` : 'Request access…'}
            </button>
          ))}
        </div>
      )}
      {rule && <Ask name={name} rights={mine!.can_ask.filter((r) => r.rule === rule && r.ask_minutes)} onClose={() => ask(undefined)} />}
    </section>
  );
}

function OpenLine({ r, d, refused }: { r: Right; d: Device; refused?: string }) {
  return (
    <li class="row">
      <span>
        {upper(r.text)}
        <span class="sub">
          {[r.role, `rule ${r.rule}`].filter(Boolean).join(', ')}
          {r.until && (
            <>
              , until <Time at={r.until} />
            </>
          )}
        </span>
      </span>
      {r.login && d.online && !refused && (
        <a class="btn" href={`/live/new?device=${encodeURIComponent(d.name)}&login=${encodeURIComponent(r.login)}`} aria-label={`Open terminal as ${r.login}`}>
          Open terminal
        </a>
      )}
    </li>
  );
}

function OnIt({ name }: { name: string }) {
  const list = useData(() => body(client.GET('/api/v1/sessions', { params: { query: { device: name, size: 10, page: 1 } } })), [name], 5000);
  return (
    <section class="part" aria-labelledby="onit">
      <header class={list.data?.sessions.length ? 'bare' : undefined}>
        <h2 id="onit">Who was on it</h2>
        {list.data && list.data.total > 10 && (
          <a class="small" href={`/sessions?device=${encodeURIComponent(name)}`}>
            All {count(list.data.total)}
          </a>
        )}
      </header>
      {list.failure && <Failed failure={list.failure} what="Sessions could not be read." retry={list.reload} />}
      {!list.data && !list.failure && <Loading />}
      {list.data && !list.data.sessions.length && <p class="muted">Nobody whose sessions you see.</p>}
      {!!list.data?.sessions.length && (
        <div class="scroll" tabIndex={0} role="region" aria-label="Sessions on this machine">
          <StackTable kind="s" caption="Sessions on this machine, newest first">
            <thead>
              <tr>
                <th scope="col">Person</th>
                <th scope="col">Started</th>
                <th scope="col">Reason given</th>
                <th scope="col">State</th>
                <th scope="col">Record</th>
              </tr>
            </thead>
            <tbody>
              {list.data.sessions.map((s: Session) => (
                <tr key={s.id}>
                  <th scope="row" class="c1 r1">
                    <a class="t" href={`/sessions/${s.id}`} data-row>
                      {s.user}
                    </a>
                    <span class="sub">
                      as <code>{s.login || 'none'}</code>
                    </span>
                  </th>
                  <td class="c2 r1">
                    <Time at={s.started ?? s.asked} />
                  </td>
                  <td class="why">
                    <Reason s={s} />
                  </td>
                  <td class="c1">
                    <Shows of={stateShown(s)} />
                  </td>
                  <td class="c2">
                    <Shows of={recordShown(s)} />
                  </td>
                </tr>
              ))}
            </tbody>
          </StackTable>
        </div>
      )}
    </section>
  );
}

function Facts({ d }: { d: Device }) {
  const row = (name: string, value: preact.ComponentChildren) =>
    value ? (
      <>
        <dt>{name}</dt>
        <dd>{value}</dd>
      </>
    ) : null;
  return (
    <section class="part">
      <header>
        <h2>Facts</h2>
      </header>
      <dl class="kv small">
        {row('Labels', <Labels labels={d.labels} />)}
        {row('Key', d.fingerprint && <code class="wrap">{d.fingerprint}</code>)}
        {row('Serial', d.serial)}
        {row('Calls itself', d.host_name)}
        {row('System', d.os)}
        {row('Agent', d.agent && agentVersion(d.agent))}
        {row('Address', d.address && <span class="mono">{d.address}</span>)}
        {row('Enrolled', d.enrolled_at && <Time at={d.enrolled_at} />)}
        {row(
          'Admitted',
          d.admitted_at && (
            <>
              <Time at={d.admitted_at} />
              {d.admitted_by && `, by ${d.admitted_by}`}
            </>
          ),
        )}
        {row('Agrees to the log', d.log_size ? `to ${count(d.log_size)}` : '')}
        {row('On it now', d.live ? plural(d.live, 'session') : 'no session')}
      </dl>
    </section>
  );
}

function WhoCan({ name }: { name: string }) {
  const list = useData(() => body(client.GET('/api/v1/policy/who-can', { params: { query: { device: name } } })), [name]);
  return (
    <section class="part">
      <header>
        <h2>Who can reach it</h2>
      </header>
      {list.failure && !(list.failure instanceof Failure && list.failure.status === 403) && <Failed failure={list.failure} what="This could not be read." retry={list.reload} />}
      {!list.data && !list.failure && <Loading />}
      {list.data && !list.data.length && <p class="muted small">Nobody: no rule of the policy is about it.</p>}
      <ul class="lines tight small">
        {list.data?.map((w) => (
          <li class="row" key={w.user + w.group + w.action + w.rule + w.grant}>
            <span>
              {w.user || w.group}
              <span class="sub">
                <code>{w.action}</code>, rule {w.rule}
                {w.conditions?.map((c) => `; must ${c}`)}
                {w.except?.map((e) => `; ${e}`)}
              </span>
            </span>
            <span class="muted">{w.how}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
