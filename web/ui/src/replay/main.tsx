// The Session page, /sessions/ID: one page for all roles, live or closed.
import { render } from 'preact';
import { useState } from 'preact/hooks';
import { body, client } from '../api/client';
import type { Me, SessionDetail, Timeline } from '../api/types';
import { address, channelQuery, several, shownChannel } from '../base/channels';
import { endedText, isLive, isRunning, recordShown, stateShown } from '../base/session';
import { clockTime, dayText, lengthText } from '../base/time';
import { bytes, commandLine, count } from '../base/words';
import { now } from '../ui/clock';
import { asFailure, useData } from '../ui/data';
import { OfflineBanner, useOnline } from '../ui/online';
import { Dialog, Empty, Failed, Loading, Refusal, Shows } from '../ui/parts';
import { applySettings } from '../ui/settings';
import { Shell } from '../ui/shell';
import { useTitle } from '../ui/title';
import { toast } from '../ui/toast';
import { Record, type Asked } from './record';
import '../styles/tokens.css';
import '../styles/base.css';
import '../styles/status.css';
import '../styles/buttons.css';
import '../styles/blocks.css';
import '../styles/controls.css';
import '../styles/parts.css';
import '../styles/dialog.css';
import '../styles/session.css';
import '../styles/player.css';

applySettings();

const id = decodeURIComponent(location.pathname.split('/')[2] ?? '');

function App() {
  const me = useData(() => body(client.GET('/api/v1/me')), [], 60_000);
  const s = useData(() => (me.data ? body(client.GET('/api/v1/sessions/{id}', { params: { path: { id } } })) : new Promise<never>(() => {})), [!!me.data], 5000);
  useTitle(s.data ? `${s.data.user} on ${s.data.device}` : 'Session');
  if (!me.data) {
    return (
      <main id="main" class="page">
        <h1 class="vh">Session</h1>
        <OfflineBanner />
        {me.failure && me.failure.status !== 401 ? <Failed failure={me.failure} what="This page could not be opened." retry={me.reload} /> : <Loading />}
      </main>
    );
  }
  return (
    <Shell me={me.data} at="/sessions" go={(href) => location.assign(href)}>
      {s.data ? <Page s={s.data} me={me.data} reload={s.reload} /> : <NoPage s={s} />}
    </Shell>
  );
}

function NoPage({ s }: { s: ReturnType<typeof useData<SessionDetail>> }) {
  return (
    <main id="main" class="page">
      <OfflineBanner />
      <header class="head">
        <h1 tabIndex={-1}>Session</h1>
      </header>
      {!s.failure ? (
        <Loading lines={10} />
      ) : s.failure.status === 404 ? (
        <Empty title="No session of this address is visible to you.">
          <a class="btn" href="/sessions">
            All sessions you see
          </a>
        </Empty>
      ) : (
        <Failed failure={s.failure} what="This session could not be read." retry={s.reload} />
      )}
    </main>
  );
}

function Page({ s, me, reload }: { s: SessionDetail; me: Me; reload: () => void }) {
  const [ending, ask] = useState(false);
  const online = useOnline();
  const refused = s.state === 'refused' && !s.differs?.length; // an edited row must not hide a recording
  const recorded = s.parts.length > 0;
  const readable = s.rights.replay && recorded && !refused;
  const t = useData(() => (readable ? body(client.GET('/api/v1/sessions/{id}/timeline', { params: { path: { id: s.id } } })) : new Promise<never>(() => {})), [s.id, s.state, readable]);
  const asked = useAsked();
  return (
    <main id="main" class="page rp">
      <OfflineBanner />
      <Differs s={s} />
      <header class="wide stackd gap-s">
        <div class="head">
          <div>
            <h1 tabIndex={-1}>
              {s.user} on {s.device}
            </h1>
            <p>{[when(s), s.site, s.purpose && `“${s.purpose}”`, s.ticket].filter(Boolean).join(' · ')}</p>
          </div>
          <div class="btns">
            {s.rights.end && isRunning(s) && (
              <button class="btn" type="button" id="end" disabled={!online} onClick={() => ask(true)}>
                End session…
              </button>
            )}
            {s.rights.replay && recorded && <Cast s={s} t={t.data} asked={asked.ch} />}
            {s.rights.export && recorded && !isRunning(s) && (
              <a class="btn" id="export" href={`/api/v1/sessions/${s.id}/export`} download>
                Export bundle
              </a>
            )}
          </div>
        </div>
        <Facts s={s} me={me} />
      </header>
      {refused ? (
        <section class="wide">
          <Refusal title="This session was refused. Nothing reached the machine." why={s.decision || s.reason} />
        </section>
      ) : !recorded ? (
        <section class="wide">
          <Empty title="There is no record.">
            <p>{isRunning(s) ? 'It is being opened.' : `It ended before it began: ${endedText(s.reason).toLowerCase()}. Nothing reached the machine.`}</p>
          </Empty>
        </section>
      ) : !s.rights.replay ? (
        <section class="wide">
          <Refusal title="You cannot open this recording." why="Only the person recorded, reviewers and the owner of the machine can open it." hint="Ask a compliance officer." />
        </section>
      ) : (
        <Record s={s} t={t} asked={asked} />
      )}
      {ending && <End s={s} onClose={() => ask(false)} onDone={() => (ask(false), reload())} />}
    </main>
  );
}

/** Differences from the signed evidence. They come first, because the rest of the page shows the database. */
function Differs({ s }: { s: SessionDetail }) {
  if (s.not_compared) return <p class="wide small muted">This page was not compared with the signed evidence: {s.not_compared}</p>;
  if (!s.differs?.length) return null;
  return (
    <section class="wide banner bad" role="alert" id="differs">
      <div class="stackd gap-s">
        <h2>This page differs from the signed evidence.</h2>
        <ul>
          {s.differs.map((d) => (
            <li key={d}>{d}</li>
          ))}
        </ul>
      </div>
    </section>
  );
}

/** The channel that the address names. Another one that is chosen gets into the address, without a step back. */
function useAsked(): Asked {
  const [ch, ask] = useState(() => Number(new URLSearchParams(location.search).get('channel')) || undefined);
  const onAsk = (next: number) => {
    history.replaceState(null, '', address(location.pathname, { channel: next }));
    ask(next);
  };
  return { ch, onAsk };
}

/** The terminal to keep: of the channel that is shown. */
function Cast({ s, t, asked }: { s: SessionDetail; t: Timeline | undefined; asked: number | undefined }) {
  const ch = shownChannel(t ?? {}, asked);
  return (
    <a class="btn" id="cast" href={address(`/api/v1/sessions/${s.id}/cast`, { version: 2, ...channelQuery(t ?? {}, ch) })} download>
      {t && several(t) ? `Channel ${ch} as asciicast` : 'Terminal as asciicast'}
    </a>
  );
}

/** The facts of a session, which never change their order. */
function Facts({ s, me }: { s: SessionDetail; me: Me }) {
  const part = s.parts[0];
  const last = s.parts[s.parts.length - 1];
  const took = s.started && (s.ended ? +new Date(s.ended) : isLive(s) ? +now() : 0) - +new Date(s.started);
  const fact = (name: string, value: preact.ComponentChildren) =>
    value ? (
      <div>
        <dt>{name}</dt>
        <dd>{value}</dd>
      </div>
    ) : null;
  return (
    <dl class="strip-kv">
      {fact('Who', s.mine ? `${s.user}, you` : s.user)}
      {fact('As', s.login && <code>{s.login}</code>)}
      {fact(s.started ? 'Ran' : 'Command', s.argv?.length ? <code>{commandLine(s.argv)}</code> : '')}
      {fact('Right from', s.rule && `rule ${s.rule}`)}
      {fact('Came by', `${{ browser: 'browser', cli: 'command line', ssh: 'ssh' }[s.front] ?? s.front}${s.via === 'token' ? ', API token' : ''}${s.address ? `, ${s.address}` : ''}`)}
      {fact('State', <Shows of={stateShown(s)} />)}
      {fact('Record', <Shows of={recordShown(s)} />)}
      {fact('Took', took ? lengthText(took) : '')}
      {fact('Typed, shown', s.started && !isRunning(s) && `${bytes(s.bytes_in)}, ${bytes(s.bytes_out)}`)}
      {fact('In the log as', part?.open_leaf !== undefined && (last?.close_leaf !== undefined ? `${count(part.open_leaf)} to ${count(last.close_leaf)}` : count(part.open_leaf)))}
      {fact('Survivors, as the device reports', s.survivors?.join('; '))}
      {me.duties.length > 0 && fact('Policy', s.policy_sha256 && <code title={s.policy_sha256}>{s.policy_sha256.slice(0, 12)}</code>)}
    </dl>
  );
}

/** In a record: the day and clock times. */
function when(s: SessionDetail): string {
  const from = new Date(s.started ?? s.asked);
  const day = dayText(from, now());
  const text = `${day.charAt(0).toUpperCase() + day.slice(1)} ${clockTime(from)}`;
  return s.ended && s.started ? `${text} to ${clockTime(new Date(s.ended))}` : text;
}

function End({ s, onClose, onDone }: { s: SessionDetail; onClose: () => void; onDone: () => void }) {
  const submit = async (e: Event & { currentTarget: HTMLFormElement }) => {
    const reason = String(new FormData(e.currentTarget).get('reason') ?? '').trim();
    try {
      await body(client.POST('/api/v1/sessions/{id}/end', { params: { path: { id: s.id } }, body: { reason: reason || undefined } }));
      toast('The session is ended.');
    } catch (err) {
      toast(`It still runs: ${asFailure(err).message}.`);
    }
    onDone();
  };
  return (
    <Dialog title={`End ${s.mine ? 'your' : `${s.user}’s`} session on ${s.device}?`} onClose={onClose} onSubmit={submit} foot={<button class="btn danger">End session</button>}>
      <p>No byte passes after this, and the machine ends what runs in it. The record is closed and kept.</p>
      <div class="field">
        <label for="end-reason">Reason</label>
        <input id="end-reason" name="reason" maxLength={500} />
      </div>
    </Dialog>
  );
}

render(<App />, document.body);
