// Machines: what waits to be admitted, the line to install one, the fleet.
import { useState } from 'preact/hooks';
import { body, client } from '../api/client';
import type { Device } from '../api/types';
import { pageCount } from '../base/pages';
import { deviceShown, needsLook, places } from '../base/session';
import { agoText, sinceText } from '../base/time';
import { agentVersion, count, keyDigits, matches, plural } from '../base/words';
import { now } from '../ui/clock';
import { useData } from '../ui/data';
import { lazy } from '../ui/lazy';
import { typing, useKeys, useListKeys } from '../ui/keyboard';
import { OfflineBanner, useOnline } from '../ui/online';
import { Empty, Failed, Loading, Shows, St, StackTable, Time } from '../ui/parts';
import { useTitle } from '../ui/title';
import type { PageProps } from './inside';
import { Install } from './install';

const JoinCode = lazy(() => import('./joincode'));
const Admit = lazy(() => import('./admit'));
const Refuse = lazy(() => import('./revoke'));

const rowsAtOnce = 50;
const byName = (a: Device, b: Device) => a.name.localeCompare(b.name, undefined, { numeric: true }); // press-2 before press-10

export default function Machines({ me, recount }: PageProps) {
  const title = places(me).find((p) => p.href === '/machines')!.text;
  useTitle(title);
  useListKeys();
  const admin = me.duties.includes('administer');
  const list = useData(() => body(client.GET('/api/v1/devices')), [], 5000);
  const tokens = useData(() => (admin ? body(client.GET('/api/v1/enroll-tokens')) : Promise.resolve([])), [admin], admin ? 10_000 : 0);
  const [dialog, open] = useState<{ what: 'code' | 'admit' | 'refuse'; device?: Device } | undefined>();
  const online = useOnline();
  const all = list.data ?? [];
  const waiting = all.filter((d) => d.state === 'waiting');
  const fleet = all.filter((d) => d.state !== 'waiting').sort(byName);
  const changed = () => {
    open(undefined);
    list.reload();
    tokens.reload();
    recount();
  };
  return (
    <main id="main" class="page">
      <OfflineBanner />
      <header class="head">
        <div>
          <h1 tabIndex={-1}>{title}</h1>
          <p>{list.data ? tally(all) : ' '}</p>
        </div>
        {admin && (
          <div class="btns">
            <button class="btn primary" type="button" id="new-code" disabled={!online} onClick={() => open({ what: 'code' })}>
              New join code…
            </button>
          </div>
        )}
      </header>
      {list.failure && <Failed failure={list.failure} what="Machines could not be read." retry={list.reload} />}
      {!list.data && !list.failure && <Loading lines={8} />}
      {admin && list.data && (
        <div class="two wide-l">
          <Queue list={waiting} onAdmit={(device) => open({ what: 'admit', device })} onRefuse={(device) => open({ what: 'refuse', device })} />
          <Install tokens={tokens} onNew={() => open({ what: 'code' })} />
        </div>
      )}
      {list.data && <Fleet list={fleet} admin={admin} />}
      {dialog?.what === 'code' && <JoinCode devices={all} onClose={() => open(undefined)} onMade={tokens.reload} />}
      {dialog?.what === 'admit' && <Admit device={dialog.device!} onClose={() => open(undefined)} onDone={changed} />}
      {dialog?.what === 'refuse' && <Refuse device={dialog.device!} onClose={() => open(undefined)} onDone={changed} />}
    </main>
  );
}

function tally(all: Device[]): string {
  const ok = all.filter((d) => d.state === 'ok' || d.state === 'locked');
  const parts = [`${count(ok.length)} admitted`, `${count(ok.filter((d) => d.online).length)} online`, `${count(ok.filter((d) => !d.online).length)} offline`];
  const frozen = all.filter((d) => d.frozen).length;
  const bad = all.filter((d) => d.state === 'disputed' || d.state === 'revoked').length;
  if (frozen) parts.push(`${count(frozen)} frozen`);
  if (bad) parts.push(`${count(bad)} disputed or revoked`);
  return parts.join(' · ');
}

function Queue({ list, onAdmit, onRefuse }: { list: Device[]; onAdmit: (d: Device) => void; onRefuse: (d: Device) => void }) {
  const online = useOnline();
  return (
    <section class="part" aria-labelledby="queue">
      <header class={list.length ? 'bare' : undefined}>
        <h2 id="queue">Waiting to be admitted {list.length > 0 && <span class="count">{count(list.length)}</span>}</h2>
        {list.length > 0 && <span class="small muted">Compare the key with the one the machine shows</span>}
      </header>
      {!list.length ? (
        <Empty title="No machine waits.">
          <p>Run the enroll line on a machine and it appears here. No one can open a session on it until you admit it.</p>
        </Empty>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Machines waiting">
          <table class="tbl mid">
            <caption class="vh">Machines waiting to be admitted</caption>
            <thead>
              <tr>
                <th scope="col">Machine</th>
                <th scope="col">Key</th>
                <th scope="col">Serial</th>
                <th scope="col">Joined</th>
                <th scope="col">
                  <span class="vh">Do</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {list.map((d) => (
                <tr key={d.name}>
                  <th scope="row">
                    <a class="t" href={`/machines/${encodeURIComponent(d.name)}`} data-row>
                      {d.name}
                    </a>
                    <span class="sub nowrap">{d.site || 'no site'}</span>
                  </th>
                  <td class="nowrap">
                    <code title={d.fingerprint}>{d.fingerprint ? keyDigits(d.fingerprint) : 'none'}</code>
                  </td>
                  <td>{d.serial ? d.serial : <St shape="none">none given</St>}</td>
                  <td class="nowrap">
                    {d.enrolled_at ? <Time at={d.enrolled_at} as={agoText} /> : ''}
                    <span class="sub mono">{d.address}</span>
                  </td>
                  <td class="act">
                    <button class="btn" type="button" disabled={!online} onClick={() => onAdmit(d)} aria-label={`Admit ${d.name}…`}>
                      Admit…
                    </button>
                    <button class="btn quiet" type="button" disabled={!online} onClick={() => onRefuse(d)} aria-label={`Refuse ${d.name}`}>
                      Refuse…
                    </button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function Fleet({ list, admin }: { list: Device[]; admin: boolean }) {
  const [text, setText] = useState('');
  const [state, setState] = useState('');
  const [page, turn] = useState(1);
  useKeys((e) => {
    if (e.key !== 'f' || typing(e) || e.ctrlKey || e.altKey || e.metaKey) return;
    document.getElementById('fleet-text')?.focus();
    return true;
  });
  const look = list.filter(needsLook).length;
  const found = list.filter((d) => inState(d, state) && matches(text, d.name, d.site, d.fingerprint, d.serial, ...Object.entries(d.labels).map(([k, v]) => `${k}=${v}`)));
  const pages = pageCount(found.length, rowsAtOnce);
  const at = Math.min(page, pages);
  const shown = found.slice((at - 1) * rowsAtOnce, at * rowsAtOnce);
  if (!list.length) {
    return (
      <Empty title="No machine is visible to you.">
        <p>{admin ? 'Make a join code, and run the line it gives on a machine.' : 'The machines that a rule of the policy lets you use, and those that you own, are listed here.'}</p>
      </Empty>
    );
  }
  return (
    <section class="part" aria-labelledby="fleet">
      <header class="bare">
        <h2 id="fleet">Fleet</h2>
      </header>
      <form class="filters" role="search" aria-label="Machines" onSubmit={(e) => e.preventDefault()}>
        <div class="field grow">
          <label for="fleet-text">Name, customer, label, key</label>
          <input id="fleet-text" type="search" placeholder="kind=press" value={text} onInput={(e) => (setText(e.currentTarget.value), turn(1))} />
        </div>
        <div class="field">
          <label for="fleet-state">State</label>
          <select id="fleet-state" value={state} onChange={(e) => (setState(e.currentTarget.value), turn(1))}>
            <option value="">All ({count(list.length)})</option>
            <option value="look">Needs a look ({count(look)})</option>
            <option value="online">Online</option>
            <option value="offline">Offline</option>
            <option value="revoked">Revoked</option>
          </select>
        </div>
      </form>
      {!shown.length ? (
        <Empty title="No machine of this name is visible to you.">
          <button class="btn" type="button" onClick={() => (setText(''), setState(''))}>
            Show all
          </button>
        </Empty>
      ) : (
        <StackTable kind="mid" caption="Fleet">
          <thead>
            <tr>
              <th scope="col">Machine</th>
              <th scope="col">State</th>
              <th scope="col">Customer, site</th>
              <th scope="col">Labels</th>
              <th scope="col">Agent</th>
              <th scope="col">On it now</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((d) => (
              <FleetRow d={d} key={d.name} />
            ))}
          </tbody>
        </StackTable>
      )}
      <div class="pager">
        <span>{found.length < list.length ? `${count(found.length)} of ${plural(list.length, 'machine')}` : plural(list.length, 'machine')}</span>
        {pages > 1 && (
          <nav aria-label="Pages">
            <div class="btns">
              <button class="btn" type="button" disabled={at <= 1} onClick={() => turn(at - 1)}>
                Back
              </button>
              <button class="btn" type="button" disabled={at >= pages} onClick={() => turn(at + 1)}>
                Next
              </button>
            </div>
          </nav>
        )}
      </div>
    </section>
  );
}

function inState(d: Device, state: string): boolean {
  switch (state) {
    case 'look':
      return needsLook(d);
    case 'online':
      return d.online;
    case 'offline':
      return !d.online && d.state !== 'revoked';
    case 'revoked':
      return d.state === 'revoked';
  }
  return true;
}

function FleetRow({ d }: { d: Device }) {
  return (
    <tr>
      <th scope="row" class="c1 r1">
        <a class="t" href={`/machines/${encodeURIComponent(d.name)}`} data-row>
          {d.name}
        </a>
      </th>
      <td class="c2 r1">
        <Shows of={deviceShown(d, (t) => sinceText(new Date(t), now()))} />
        {d.problems?.map((p) => (
          <span class="sub warn-ink" key={p}>
            {p}
          </span>
        ))}
      </td>
      <td>{d.site || <span class="muted">none</span>}</td>
      <td>
        <Labels labels={d.labels} />
      </td>
      <td data-l="agent" class="c1">{d.agent ? agentVersion(d.agent) : <span class="muted">unknown</span>}</td>
      <td data-l="on it" class="c2">{d.live ? <St shape="rec">{plural(d.live, 'session')}</St> : <span class="muted">no session</span>}</td>
    </tr>
  );
}

export function Labels({ labels }: { labels: Record<string, string> }) {
  const all = Object.entries(labels);
  if (!all.length) return <span class="muted">none</span>;
  return (
    <span class="chips">
      {all.map(([k, v]) => (
        <span class="chip" key={k}>
          {k}={v}
        </span>
      ))}
    </span>
  );
}
