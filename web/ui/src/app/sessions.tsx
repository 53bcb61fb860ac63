// Sessions: a list with filters. Everybody sees their own; who reviews, approves or administers sees all.
import { body, client } from '../api/client';
import type { Session } from '../api/types';
import { pageCount, pageOf, pastEnd, rowsText, turned } from '../base/pages';
import { isLive, places, recordShown, stateShown } from '../base/session';
import { lengthText } from '../base/time';
import { bytes, plural } from '../base/words';
import { now } from '../ui/clock';
import { useData } from '../ui/data';
import { typing, useKeys, useListKeys } from '../ui/keyboard';
import { OfflineBanner } from '../ui/online';
import { Empty, Failed, Loading, Shows, StackTable, Time } from '../ui/parts';
import { useTitle } from '../ui/title';
import type { PageProps } from './inside';
import { Reason } from './reason';
import { go } from './router';

const size = 25;
const spans: [string, string][] = [
  ['', 'Any time'],
  ['1', 'Last 24 hours'],
  ['7', 'Last 7 days'],
  ['30', 'Last 30 days'],
];
const states: [string, string][] = [
  ['', 'Any'],
  ['running', 'Running'],
  ['ended,closed,archived', 'Ended'],
  ['refused', 'Refused'],
];

const day = 24 * 3600_000;

export default function Sessions({ me, at }: PageProps) {
  const title = places(me).find((p) => p.href === '/sessions')?.text ?? 'Sessions';
  useTitle(title);
  useListKeys();
  const q = at.searchParams;
  const ask = { text: q.get('text') ?? '', device: q.get('device') ?? '', user: q.get('user') ?? '', site: q.get('site') ?? '', state: q.get('state') ?? '', days: q.get('days') ?? '', page: pageOf(q.get('page')) };
  const list = useData(() => body(client.GET('/api/v1/sessions', { params: { query: query(ask) } })), [at.search], 5000);
  const turn = (by: number) => {
    const page = list.data && turned(ask.page, by, list.data.total, size);
    if (page) go(address({ ...ask, page }));
  };
  useKeys(
    (e) => {
      if (typing(e) || e.ctrlKey || e.altKey || e.metaKey) return;
      if (e.key === 'f') document.getElementById('q')?.focus();
      else if (e.key === '[') turn(-1);
      else if (e.key === ']') turn(1);
      else return;
      return true;
    },
    [at.search, list.data?.total],
  );
  const filtered = isFiltered(ask);
  const wide = title !== 'My sessions';
  return (
    <main id="main" class="page">
      <OfflineBanner />
      <header class="head">
        <div>
          <h1 tabIndex={-1}>{title}</h1>
          <p>{!list.data ? ' ' : filtered ? `${plural(list.data.total, 'session')} ${list.data.total === 1 ? 'matches' : 'match'}.` : `${plural(list.data.total, 'session')}${wide ? ' on the machines you see' : ' of yours'}.`}</p>
        </div>
      </header>
      <Filters ask={ask} wide={wide} known={list.data?.sessions ?? []} key={at.search} />
      {list.failure && <Failed failure={list.failure} what="Sessions could not be read." retry={list.reload} />}
      {!list.data && !list.failure && <Loading lines={8} />}
      {list.data && (list.data.sessions.length ? <Table list={list.data.sessions} wide={wide} /> : <Nothing ask={ask} total={list.data.total} wide={wide} />)}
      {list.data && list.data.sessions.length > 0 && (
        <div class="pager">
          <span>
            {rowsText(ask.page, list.data.sessions.length, list.data.total, size)}
            <span class="keys">
              {' '}
              · <kbd>J</kbd> <kbd>K</kbd> move · <kbd>Enter</kbd> open
            </span>
          </span>
          <nav aria-label="Pages">
            <div class="btns">
              <button class="btn" type="button" disabled={ask.page <= 1} onClick={() => turn(-1)}>
                Newer
              </button>
              <button class="btn" type="button" disabled={!turned(ask.page, 1, list.data.total, size)} onClick={() => turn(1)}>
                Older
              </button>
            </div>
          </nav>
        </div>
      )}
    </main>
  );
}

interface Ask {
  text: string;
  device: string;
  user: string;
  site: string;
  state: string;
  days: string;
  page: number;
}

const isFiltered = (a: Ask) => !!(a.text || a.device || a.user || a.site || a.state || a.days);

function query(a: Ask) {
  const days = Number(a.days);
  return {
    ...(a.text && { text: a.text }),
    ...(a.device && { device: a.device }),
    ...(a.user && { user: a.user }),
    ...(a.site && { site: a.site }),
    ...(a.state && { state: a.state }),
    ...(days > 0 && { from: new Date(now().getTime() - days * day).toISOString() }),
    page: a.page,
    size,
  };
}

function address(a: Ask): string {
  const p = new URLSearchParams();
  for (const [k, v] of Object.entries(a)) if (v && !(k === 'page' && v === 1)) p.set(k, String(v));
  return '/sessions' + (p.size ? '?' + p : '');
}

/** Names seen in lists so far, to choose from: nobody reads the names of all people and customers here. */
const seen = { user: new Set<string>(), site: new Set<string>() };

function remember(list: Session[]) {
  for (const s of list) {
    seen.user.add(s.user);
    if (s.site) seen.site.add(s.site);
  }
}

function Filters({ ask, wide, known }: { ask: Ask; wide: boolean; known: Session[] }) {
  remember(known);
  const submit = (e: Event & { currentTarget: HTMLFormElement }) => {
    e.preventDefault();
    const f = new FormData(e.currentTarget);
    const get = (k: string) => String(f.get(k) ?? '').trim();
    go(address({ text: get('text'), device: get('device'), user: get('user'), site: get('site'), state: get('state'), days: get('days'), page: 1 }));
  };
  const pick = (name: string, label: string, options: [string, string][], value: string) => (
    <div class="field">
      <label for={'f-' + name}>{label}</label>
      <select id={'f-' + name} name={name} onChange={(e) => e.currentTarget.form!.requestSubmit()}>
        {options.map(([v, text]) => (
          <option value={v} selected={v === value} key={v}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
  const name = (of: 'site' | 'user', label: string, all: string) => (
    <div class="field">
      <label for={'f-' + of}>{label}</label>
      <input id={'f-' + of} name={of} list={'seen-' + of} placeholder={all} maxLength={200} autocomplete="off" defaultValue={ask[of]} onChange={(e) => e.currentTarget.form!.requestSubmit()} />
      <datalist id={'seen-' + of}>
        {[...seen[of]].sort().map((n) => (
          <option value={n} key={n} />
        ))}
      </datalist>
    </div>
  );
  return (
    <form class={wide ? 'filters many' : 'filters'} role="search" aria-label="Sessions" onSubmit={submit}>
      <div class="field grow">
        <label for="q">Machine, person, login, reason or ticket</label>
        <input id="q" name="text" type="search" maxLength={200} defaultValue={ask.text} />
      </div>
      {ask.device && (
        <div class="field">
          <label for="f-device">Machine</label>
          <input id="f-device" name="device" maxLength={63} defaultValue={ask.device} />
        </div>
      )}
      {wide && name('site', 'Customer', 'All customers')}
      {wide && name('user', 'Person', 'Everyone')}
      {pick('state', 'State', states, ask.state)}
      {pick('days', 'When', spans, ask.days)}
      <button class="btn" type="submit">
        Search
      </button>
    </form>
  );
}

/** Why there are no rows. */
function Nothing({ ask, total, wide }: { ask: Ask; total: number; wide: boolean }) {
  const past = pastEnd(ask.page, total, size, 'session');
  if (!past) return <None filtered={isFiltered(ask)} wide={wide} />;
  return (
    <Empty title={past.title}>
      <p>{past.text}</p>
      <div class="btns">
        <a class="btn" href={address({ ...ask, page: pageCount(total, size) })}>
          Last page
        </a>
        <a class="btn" href={address({ ...ask, page: 1 })}>
          First page
        </a>
      </div>
    </Empty>
  );
}

function None({ filtered, wide }: { filtered: boolean; wide: boolean }) {
  if (filtered) {
    return (
      <Empty title="No session matches.">
        <p>Looked in machine, person, login, reason and ticket of the sessions you see.{wide && ' A customer is a whole name, a person the name or its beginning.'}</p>
        <a class="btn" href="/sessions">
          Show all
        </a>
      </Empty>
    );
  }
  return (
    <Empty title={wide ? 'No session yet.' : 'You have not been on a machine yet.'}>
      <p>{wide ? 'Every session appears here as soon as it is requested, including refused ones.' : 'My work lists the machines that you can open.'}</p>
      {!wide && (
        <a class="btn" href="/">
          My work
        </a>
      )}
    </Empty>
  );
}

function Table({ list, wide }: { list: Session[]; wide: boolean }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Sessions found">
      <StackTable kind={wide ? 's' : 's own'} id="sessions" caption="Sessions, newest first">
        <thead>
          <tr>
            <th scope="col">Machine</th>
            <th scope="col">{wide ? 'Person' : 'As'}</th>
            <th scope="col">Started</th>
            <th scope="col" class="num">
              Took
            </th>
            <th scope="col" class="num">
              Typed
            </th>
            <th scope="col" class="num">
              Shown
            </th>
            <th scope="col">Reason given</th>
            <th scope="col">State</th>
            <th scope="col">Record</th>
          </tr>
        </thead>
        <tbody>
          {list.map((s) => (
            <SessionRow s={s} wide={wide} key={s.id} />
          ))}
        </tbody>
      </StackTable>
    </div>
  );
}

function SessionRow({ s, wide }: { s: Session; wide: boolean }) {
  return (
    <tr>
      <th scope="row" class="c1 r1">
        <a class="t" href={`/sessions/${s.id}`} data-row>
          {s.device}
        </a>
        <span class="sub">{s.site || 'no site'}</span>
      </th>
      <td class="c1 r2">
        <Who s={s} wide={wide} />
      </td>
      <td class="c2 r1">
        <Time at={s.started ?? s.asked} />
      </td>
      <td class="c2 r2 num">{tookText(s)}</td>
      <td class="less num">{s.started ? bytes(s.bytes_in) : ''}</td>
      <td class="less num">{s.started ? bytes(s.bytes_out) : ''}</td>
      <td class="why">
        <Reason s={s} />
        {s.ticket && <span class="sub">{s.ticket}</span>}
      </td>
      <td class="c1">
        <Shows of={stateShown(s)} />
      </td>
      <td class="c2">
        <Shows of={recordShown(s)} />
      </td>
    </tr>
  );
}

/** Of one's own sessions only the login says something new. */
function Who({ s, wide }: { s: Session; wide: boolean }) {
  const by = s.via === 'token' && 'API token';
  if (!wide) {
    return (
      <>
        <code>{s.login || 'none'}</code>
        {by && <span class="sub">{by}</span>}
      </>
    );
  }
  return (
    <>
      {s.user}
      <span class="sub">
        as <code>{s.login || 'none'}</code>
        {by && `, ${by}`}
      </span>
    </>
  );
}

function tookText(s: Session): string {
  if (!s.started) return '';
  if (isLive(s)) return lengthText(now().getTime() - +new Date(s.started));
  return s.ended ? lengthText(+new Date(s.ended) - +new Date(s.started)) : '';
}
