// The terminal's document: /live/new?device=…&login=… opens a session, /live/ID is it.
import { render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { body, client, stayHere, type Failure } from '../api/client';
import { isRunning, stateShown } from '../base/session';
import { useData } from '../ui/data';
import { OfflineBanner } from '../ui/online';
import { Empty, Failed, Loading, Shows } from '../ui/parts';
import { applySettings } from '../ui/settings';
import { Shell } from '../ui/shell';
import { useStore } from '../ui/store';
import { useTitle } from '../ui/title';
import { Before, type Wish } from './before';
import { Running } from './session';
import { againAddress } from './strip';
import { TerminalPage } from './terminal';
import '../styles/tokens.css';
import '../styles/base.css';
import '../styles/status.css';
import '../styles/buttons.css';
import '../styles/blocks.css';
import '../styles/controls.css';
import '../styles/parts.css';
import '../styles/dialog.css';
import '../styles/session.css';

applySettings();

function App() {
  const me = useData(() => body(client.GET('/api/v1/me')), [], 60_000);
  const known = useRef(me.data);
  known.current = me.data ?? known.current; // a sign-in that has ended does not take a session's page away
  if (!known.current) {
    return (
      <main id="main" class="page">
        <h1 class="vh">Session</h1>
        <OfflineBanner />
        {me.failure && me.failure.status !== 401 ? <Failed failure={me.failure} what="This page could not be opened." retry={me.reload} /> : <Loading />}
      </main>
    );
  }
  return (
    <Shell me={known.current} at="/" go={(href) => location.assign(href)} bare>
      <Door />
    </Shell>
  );
}

function Door() {
  const [name] = useState(() => location.pathname.split('/')[2] ?? '');
  const [wish, setWish] = useState<Wish>(wished);
  const [failure, fail] = useState<Failure | undefined>();
  const [running, run] = useState<Running | undefined>();
  if (running) return <Open running={running} onRefused={(f) => (fail(f), run(undefined), history.replaceState(null, '', againAddress(wish)))} />;
  if (name !== 'new' && !failure) return <Known id={name} />;
  return (
    <Titled title={wish.device ? `Open ${wish.device}` : 'Open a terminal'}>
      <Before wish={wish} failure={failure} onOpen={(w) => (setWish(w), fail(undefined), run(new Running(w)))} />
    </Titled>
  );
}

function Titled({ title, children }: { title: string; children: preact.ComponentChildren }) {
  useTitle(title);
  return <>{children}</>;
}

function wished(): Wish {
  const q = new URLSearchParams(location.search);
  const get = (k: string) => (q.get(k) ?? '').slice(0, 500);
  return { device: get('device'), login: get('login'), purpose: get('purpose'), ticket: get('ticket') };
}

function Open({ running, onRefused }: { running: Running; onRefused: (f: Failure) => void }) {
  const live = useStore(running.state);
  useTitle(live.phase === 'ended' || live.phase === 'lost' ? `${live.device}, ended` : `${live.device}, live session`);
  useEffect(() => {
    document.body.classList.add('live');
    return () => document.body.classList.remove('live');
  }, []);
  useEffect(() => {
    stayHere(live.phase === 'live' || live.phase === 'ended' || live.phase === 'lost');
    return () => stayHere(false);
  }, [live.phase]);
  useEffect(() => {
    if (live.phase === 'refused') onRefused(live.failure!);
  }, [live.phase]);
  return <TerminalPage running={running} />;
}

/** A session's own address, loaded again: its line went with the page it was in. */
function Known({ id }: { id: string }) {
  const s = useData(() => body(client.GET('/api/v1/sessions/{id}', { params: { path: { id } } })), [id], 5000);
  useTitle(s.data ? `Session on ${s.data.device}` : 'Session');
  const end = async () => {
    await body(client.POST('/api/v1/sessions/{id}/end', { params: { path: { id } }, body: {} })).catch(() => undefined);
    s.reload();
  };
  return (
    <main id="main" class="page">
      <OfflineBanner />
      <header class="head">
        <h1 tabIndex={-1}>{s.data ? `Session on ${s.data.device}` : 'Session'}</h1>
      </header>
      {!s.data && !s.failure && <Loading />}
      {s.failure && (s.failure.status === 404 ? <Empty title="No session of this address is visible to you." /> : <Failed failure={s.failure} what="This session could not be read." retry={s.reload} />)}
      {s.data && (
        <>
          <p>
            <Shows of={stateShown(s.data)} />
          </p>
          <Empty title={isRunning(s.data) ? 'It runs in another window, or from a command line.' : 'This session has ended.'}>
            <p>{isRunning(s.data) ? 'A session lives in the window it was opened in. Closing that window ends it.' : 'A session ends with the window it was opened in. What was recorded is kept.'}</p>
            <div class="btns">
              {s.data.mine && !isRunning(s.data) && (
                <a class="btn primary" href={againAddress({ device: s.data.device, login: s.data.login, purpose: s.data.purpose, ticket: s.data.ticket ?? '' })}>
                  Open again
                </a>
              )}
              {isRunning(s.data) && s.data.rights.end && (
                <button class="btn danger" type="button" onClick={end}>
                  End session
                </button>
              )}
              <a class="btn" href={`/sessions/${s.data.id}`}>
                Look at the record
              </a>
            </div>
          </Empty>
        </>
      )}
    </main>
  );
}

render(<App />, document.body);
