// My work: what can be opened now, what can be asked for, what was done lately.
import { useState } from 'preact/hooks';
import { body, client } from '../api/client';
import type { Me, Right, Session, Work } from '../api/types';
import { deviceShown, isLive } from '../base/session';
import { lengthText, sinceText, untilText } from '../base/time';
import { asking, whyNot } from '../base/work';
import { matches, plural } from '../base/words';
import { now } from '../ui/clock';
import { useData } from '../ui/data';
import { typing, useKeys, useListKeys } from '../ui/keyboard';
import { offlineReason, OfflineBanner, useOnline } from '../ui/online';
import { Copy, Empty, Failed, Loading, Shows, St, StackTable, Time } from '../ui/parts';
import { useTitle } from '../ui/title';
import type { PageProps } from './inside';

export default function MyWork({ me }: PageProps) {
  useTitle('My work');
  useListKeys();
  const work = useData(() => body(client.GET('/api/v1/work')), [], 5000);
  const [filter, setFilter] = useState('');
  useKeys((e) => {
    if (e.key !== 'f' || typing(e) || e.ctrlKey || e.altKey || e.metaKey) return;
    document.getElementById('filter')?.focus();
    return true;
  });
  const all = work.data?.devices ?? [];
  const shown = all.filter((w) => matches(filter, w.device.name, w.device.site, ...Object.values(w.device.labels)));
  const live = all.flatMap((w) => w.sessions ?? []).filter(isLive);
  return (
    <main id="main" class="page side">
      <OfflineBanner />
      {live.map((s) => (
        <Running session={s} key={s.id} />
      ))}
      <section class="part" aria-labelledby="h">
        <div class="head">
          <h1 id="h" tabIndex={-1}>
            My work
          </h1>
          <div class="filters">
            <div class="field">
              <label class="vh" for="filter">
                Filter machines
              </label>
              <input id="filter" placeholder="Filter by machine or customer" value={filter} onInput={(e) => setFilter(e.currentTarget.value)} />
            </div>
          </div>
        </div>
        {work.failure && <Failed failure={work.failure} what="Your machines could not be read." retry={work.reload} />}
        {!work.data && !work.failure && <Loading lines={6} />}
        {work.data && <Machines list={shown} me={me} filtered={shown.length < all.length} all={all.length} />}
      </section>
      <aside class="stackd" aria-label="Recent">
        <Recent list={work.data?.recent} />
        {work.data && <OwnTerminal list={all} />}
      </aside>
    </main>
  );
}

function Running({ session: s }: { session: Session }) {
  return (
    <div class="wide banner">
      <span>
        <St shape="rec">
          <b>
            Your session on {s.device} as {s.login} runs
          </b>
        </St>{' '}
        since <Time at={s.started ?? s.asked} as={sinceText} />
        {s.front === 'browser' ? ', in another window.' : ', from a command line.'}
      </span>
      <a class="btn" href={`/sessions/${s.id}`}>
        Look at it
      </a>
    </div>
  );
}

function Machines({ list, me, filtered, all }: { list: Work[]; me: Me; filtered: boolean; all: number }) {
  const open = list.filter((w) => w.can_open.length);
  const ask = list.filter((w) => w.can_ask.length);
  const rest = list.filter((w) => !w.can_open.length && !w.can_ask.length);
  if (!list.length) {
    return filtered ? (
      <Empty title="No machine of this name is visible to you." />
    ) : (
      <Empty title="No machine is open to you.">
        <p>{me.groups.length ? `Your rights come from ${me.groups.length === 1 ? 'the group' : 'the groups'} ${me.groups.join(', ')}. No rule of the policy gives them a machine now.` : 'You are in no group, and rights come from groups. Your administrator can add you to one.'}</p>
        {me.duties.length > 0 && (
          <p>
            <a href="/sessions">Sessions</a> lists the sessions of other people that you can see.
          </p>
        )}
      </Empty>
    );
  }
  return (
    <>
      <StackTable kind="a" caption="Machines you can open now and machines you can request access to">
        <thead>
          <tr>
            <th scope="col">Machine</th>
            <th scope="col">State</th>
            <th scope="col">You may</th>
            <th scope="col">Until</th>
            <th scope="col">
              <span class="vh">Do</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {open.length > 0 && <Group text="You can open" sub={plural(open.length, 'machine')} />}
          {open.map((w) => (
            <OpenRow w={w} key={'o' + w.device.name} />
          ))}
          {ask.length > 0 && <Group text="You can request access" sub={plural(ask.length, 'machine')} />}
          {ask.map((w) => (
            <AskRow w={w} key={'a' + w.device.name} />
          ))}
          {rest.length > 0 && <Group text="Closed to you now" sub={plural(rest.length, 'machine')} />}
          {rest.map((w) => (
            <ClosedRow w={w} key={'c' + w.device.name} />
          ))}
        </tbody>
      </StackTable>
      <div class="pager">
        <span>{filtered ? `Showing ${list.length} of ${all}` : plural(all, 'machine')}</span>
      </div>
    </>
  );
}

const Group = ({ text, sub }: { text: string; sub: string }) => (
  <tr class="grp">
    <th colSpan={5} scope="rowgroup">
      {text} <span>{sub}</span>
    </th>
  </tr>
);

const state = (w: Work) => deviceShown(w.device, (t) => sinceText(new Date(t), now()));

function Name({ w }: { w: Work }) {
  return (
    <th scope="row">
      <a class="t" href={`/machines/${encodeURIComponent(w.device.name)}`} data-row>
        {w.device.name}
      </a>
      {w.device.labels.sil && <span class="chip">SIL {w.device.labels.sil}</span>}
      <span class="sub">{w.device.site || 'no site'}</span>
    </th>
  );
}

/** The logins of some rights, as a machine takes them. */
function Logins({ rights }: { rights: Right[] }) {
  const names = [...new Set(rights.map((r) => r.login).filter(Boolean))] as string[];
  if (!names.length) return <>{rights[0]?.text}</>;
  return (
    <>
      Terminal as{' '}
      {names.map((n, i) => (
        <>
          {i ? ', ' : ''}
          <code>{n}</code>
        </>
      ))}
    </>
  );
}

const roleText = (rights: Right[]) => [...new Set(rights.map((r) => (r.role ? `${r.role}, rule ${r.rule}` : `rule ${r.rule}`)))].join('; ');

function OpenRow({ w }: { w: Work }) {
  const until = w.can_open.map((r) => r.until).filter(Boolean).sort()[0];
  return (
    <tr>
      <Name w={w} />
      <td>
        <Shows of={state(w)} />
      </td>
      <td>
        <Logins rights={w.can_open} />
        <span class="sub">{roleText(w.can_open)}</span>
      </td>
      <td>{until ? <Time at={until} as={untilText} /> : <span class="muted">{w.can_open[0]?.max_seconds ? `${lengthText(w.can_open[0].max_seconds * 1000)} a session` : 'no end set'}</span>}</td>
      <Open w={w} />
    </tr>
  );
}

/** The buttons, or why there is none now. */
function Open({ w }: { w: Work }) {
  const online = useOnline();
  const no = whyNot(w) || (online ? '' : offlineReason);
  if (no) return <td class="act says small muted">{no}</td>;
  const terminals = w.can_open.filter((r) => r.login);
  return (
    <td class="act">
      {terminals.map((r) => (
        <a class="btn" href={`/live/new?device=${encodeURIComponent(w.device.name)}&login=${encodeURIComponent(r.login!)}`} aria-label={`${terminals.length > 1 ? `Open as ${r.login}` : 'Open terminal'} on ${w.device.name}`} key={r.action}>
          {terminals.length > 1 ? `Open as ${r.login}` : 'Open terminal'}
        </a>
      ))}
    </td>
  );
}

function AskRow({ w }: { w: Work }) {
  const { most, wants } = asking(w.can_ask);
  return (
    <tr>
      <Name w={w} />
      <td>
        <Shows of={state(w)} />
      </td>
      <td>
        <Logins rights={w.can_ask} />
        <span class="sub">{wants || w.can_ask[0]!.text}</span>
      </td>
      <td>
        {most}
        <span class="sub">{roleText(w.can_ask)}</span>
      </td>
      <td class="act">
        <a class="btn" href={`/machines/${encodeURIComponent(w.device.name)}`} aria-label={`Request access to ${w.device.name}`}>
          Request…
        </a>
      </td>
    </tr>
  );
}

function ClosedRow({ w }: { w: Work }) {
  return (
    <tr>
      <Name w={w} />
      <td>
        <Shows of={state(w)} />
      </td>
      <td>{w.refused || 'Nothing now'}</td>
      <td class="less" />
      <td class="act says" />
    </tr>
  );
}

function Recent({ list }: { list: Session[] | undefined }) {
  return (
    <section class="part">
      <header>
        <h2>Recent</h2>
        <a class="small" href="/sessions">
          All my sessions
        </a>
      </header>
      {!list ? (
        <Loading />
      ) : !list.length ? (
        <p class="muted small">You have not been on a machine yet.</p>
      ) : (
        <ul class="lines">
          {list.slice(0, 6).map((s) => (
            <RecentRow s={s} key={s.id} />
          ))}
        </ul>
      )}
    </section>
  );
}

function RecentRow({ s }: { s: Session }) {
  const href = `/sessions/${s.id}`;
  if (s.state === 'refused') {
    return (
      <li>
        <a class="st bad" href={href}>
          {s.device}, refused
        </a>
        <span class="sub">{s.reason}</span>
      </li>
    );
  }
  return (
    <li class="row nw">
      <span>
        <a href={href}>{s.device}</a>
        <span class="sub">{[s.purpose || (s.login && `as ${s.login}`), s.ticket].filter(Boolean).join(', ')}</span>
      </span>
      <span class="small muted num nowrap">
        <Time at={s.started ?? s.asked} />
        <br />
        {isLive(s) ? <St shape="rec">runs</St> : s.started && s.ended ? lengthText(+new Date(s.ended) - +new Date(s.started)) : ''}
      </span>
    </li>
  );
}

/** The same door from a command line. */
function OwnTerminal({ list }: { list: Work[] }) {
  const w = list.find((x) => x.can_open.some((r) => r.login) && x.device.online);
  const login = w?.can_open.find((r) => r.login)?.login;
  if (!w || !login) return null;
  return (
    <section class="part">
      <header>
        <h2>From a command line</h2>
      </header>
      <Copy label="the command" text={`sallyport shell ${w.device.name} --login ${login}`} />
      <p class="small muted">Same rights, same recording. The first time, it asks you to sign in.</p>
    </section>
  );
}
