// Before a session: what is recorded, in the gateway's own lines; what the session is for. Nothing is opened until somebody
// says so here: an address alone, followed from anywhere, opens no machine.
import { useEffect, useRef } from 'preact/hooks';
import { body, client, type Failure } from '../api/client';
import { useData } from '../ui/data';
import { offlineReason, OfflineBanner, useOnline } from '../ui/online';
import { Failed, Loading, St } from '../ui/parts';

export interface Wish {
  device: string;
  login: string;
  purpose: string;
  ticket: string;
}

export function Before({ wish, failure, onOpen }: { wish: Wish; failure?: Failure; onOpen: (w: Wish) => void }) {
  const sign = useData(() => body(client.GET('/api/v1/signin')), []);
  const online = useOnline();
  const first = useRef<HTMLInputElement>(null);
  useEffect(() => first.current?.focus(), []);
  const submit = (e: Event & { currentTarget: HTMLFormElement }) => {
    e.preventDefault();
    const f = new FormData(e.currentTarget);
    onOpen({ ...wish, purpose: String(f.get('purpose') ?? '').trim(), ticket: String(f.get('ticket') ?? '').trim() });
  };
  return (
    <main id="main" class="page before">
      <OfflineBanner />
      <header class="head">
        <div>
          <h1 tabIndex={-1}>Terminal on {wish.device}</h1>
          <p>{wish.login ? <>as <code>{wish.login}</code></> : 'as the login you may open there'}</p>
        </div>
      </header>
      {failure && <Failed failure={failure} what={failure.problem.reason === 'denied' ? 'You may not open this now.' : 'The session was not started.'} />}
      <div class="two">
        <form class="part" onSubmit={submit}>
          <header>
            <h2>What it is for</h2>
          </header>
          <div class="field">
            <label for="purpose">Reason</label>
            <input id="purpose" name="purpose" ref={first} maxLength={500} defaultValue={wish.purpose} autocomplete="off" />
            <span class="hint">Kept with the record, for its readers.</span>
          </div>
          <div class="field">
            <label for="ticket">Ticket</label>
            <input id="ticket" name="ticket" maxLength={200} defaultValue={wish.ticket} autocomplete="off" />
          </div>
          <div class="btns">
            <button class="btn primary big" id="open" disabled={!online || !wish.device}>
              Open terminal
            </button>
            <a class="btn quiet" href="/">
              Back to My work
            </a>
          </div>
          {!online && <p class="small muted">Opening {offlineReason}.</p>}
        </form>
        <section class="part" aria-labelledby="rec">
          <header>
            <h2 id="rec">
              <St shape="rec">Recorded</St>
            </h2>
          </header>
          {!sign.data && !sign.failure && <Loading lines={4} />}
          {sign.failure && <Failed failure={sign.failure} what="What is recorded could not be read." retry={sign.reload} />}
          <ul class="lines" id="notice">
            {sign.data?.notice.map((l) => (
              <li key={l}>{l}</li>
            ))}
          </ul>
        </section>
      </div>
    </main>
  );
}
