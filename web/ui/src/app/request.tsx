// One request: what it is for, who must agree, and the answer of whoever can give one. Approve and Deny have the same weight.
import { useState } from 'preact/hooks';
import { body, client, type Failure } from '../api/client';
import type { Request } from '../api/types';
import { lengths, minutesText, missing, requestShown } from '../base/requests';
import { sentence } from '../base/words';
import { asFailure, useData } from '../ui/data';
import { now } from '../ui/clock';
import { OfflineBanner, useOnline } from '../ui/online';
import { Dialog, Empty, Failed, Loading, Shows, Time } from '../ui/parts';
import { Seg } from '../ui/seg';
import { Review } from './review';
import { Used } from './used';
import { useTitle } from '../ui/title';
import { toast } from '../ui/toast';
import type { PageProps } from './inside';
import '../styles/dialog.css';

export default function OneRequest({ at, recount }: PageProps) {
  const id = decodeURIComponent(at.pathname.split('/')[2] ?? '');
  const d = useData(() => body(client.GET('/api/v1/requests/{id}', { params: { path: { id } } })), [id], 3000);
  const q = d.data;
  useTitle(q ? `Request for ${q.device}` : 'Request');
  const done = () => {
    d.reload();
    recount();
  };
  if (!q) {
    return (
      <main id="main" class="page">
        <OfflineBanner />
        <h1 tabIndex={-1}>Request</h1>
        {!d.failure ? <Loading lines={6} /> : d.failure.status === 404 ? <Unseen /> : <Failed failure={d.failure} what="This request could not be read." retry={d.reload} />}
      </main>
    );
  }
  return (
    <main id="main" class="page">
      <OfflineBanner />
      <header class="head">
        <div>
          <h1 tabIndex={-1}>
            {q.emergency ? (q.mine ? 'Your emergency access' : `Emergency access of ${q.by}`) : q.mine ? 'Your request' : `Request of ${q.by}`} {q.emergency ? 'to' : 'for'} {q.device}
          </h1>
          <p>
            <Shows of={requestShown(q)} /> · {q.site || 'no site'}
          </p>
        </div>
      </header>
      <Facts q={q} />
      {q.grant && <Used q={q} />}
      {q.review && <Review q={q} review={q.review} onDone={done} />}
      <Answer q={q} onDone={done} />
    </main>
  );
}

const Unseen = () => (
  <Empty title="No request of this address is visible to you.">
    <a class="btn" href="/requests">
      All requests you see
    </a>
  </Empty>
);

function Facts({ q }: { q: Request }) {
  return (
    <section class="part" aria-label="What it is for">
      <dl class="kv">
        <dt>Reason</dt>
        <dd>{q.reason || <span class="muted">none given</span>}</dd>
        {q.ticket && <dt>Ticket</dt>}
        {q.ticket && <dd>{q.ticket}</dd>}
        <dt>Rights it adds</dt>
        {(q.actions ?? []).map((a, i) => (
          <dd class={i ? 'second' : undefined} key={a}>
            <code class="wrap">{a}</code>
          </dd>
        ))}
        <dt>How long</dt>
        <dd>
          {minutesText(q.minutes)}, starting {q.needs?.length ? 'with the last approval' : 'at once'}
        </dd>
        <dt>Requested</dt>
        <dd>
          <Time at={q.created} /> by {q.by}
          {q.via === 'token' ? ', with an API token' : ''}
          {q.address && (
            <>
              , from <span class="mono">{q.address}</span>
            </>
          )}
        </dd>
        <dt>Rule</dt>
        <dd>
          {q.rule}
          {q.state === 'pending' && `; waits for ${missing(q.needs ?? []) || 'nobody'}`}
        </dd>
        {!!q.approvers?.length && <dt>Approved by</dt>}
        {!!q.approvers?.length && <dd>{q.approvers.join(', ')}</dd>}
        {q.answered_by && <dt>{q.state === 'denied' ? 'Denied by' : 'Withdrawn by'}</dt>}
        {q.answered_by && <dd>{sentence(q.answer ? `${q.answered_by}: ${q.answer}` : q.answered_by)}</dd>}
        {q.ends && <dt>{+new Date(q.ends) > +now() ? 'Ends' : 'Ended'}</dt>}
        {q.ends && (
          <dd>
            <Time at={q.ends} />
          </dd>
        )}
        {q.state === 'pending' && <dt>Expires</dt>}
        {q.state === 'pending' && (
          <dd>
            <Time at={q.expires} />
          </dd>
        )}
      </dl>
    </section>
  );
}

/** What can be done with it now. */
function Answer({ q, onDone }: { q: Request; onDone: () => void }) {
  const online = useOnline();
  const [ask, open] = useState<'approve' | 'deny' | 'withdraw' | undefined>();
  const grant = (q.state === 'approved' || q.state === 'used') && !!q.ends && +new Date(q.ends) > +now();
  const close = () => open(undefined);
  const done = () => {
    close();
    onDone();
  };
  return (
    <div class="btns">
      {q.may_answer && (
        <>
          <button class="btn" type="button" disabled={!online} onClick={() => open('approve')}>
            Approve…
          </button>
          <button class="btn" type="button" disabled={!online} onClick={() => open('deny')}>
            Deny…
          </button>
        </>
      )}
      {q.mine && grant && q.login && (
        <a class="btn primary" href={`/live/new?device=${encodeURIComponent(q.device)}&login=${encodeURIComponent(q.login)}`}>
          Open terminal
        </a>
      )}
      {q.may_withdraw && (
        <button class="btn" type="button" disabled={!online} onClick={() => open('withdraw')}>
          Withdraw…
        </button>
      )}
      {ask === 'approve' && <Approve q={q} onClose={close} onDone={done} />}
      {ask === 'deny' && <End q={q} verb="Deny" onClose={close} onDone={done} />}
      {ask === 'withdraw' && <End q={q} verb="Withdraw" onClose={close} onDone={done} />}
    </div>
  );
}

function Approve({ q, onClose, onDone }: { q: Request; onClose: () => void; onDone: () => void }) {
  const all = q.actions ?? [];
  const [minutes, setMinutes] = useState(q.minutes);
  const [left, setLeft] = useState<string[]>([]);
  const [failure, fail] = useState<Failure | undefined>();
  const [busy, setBusy] = useState(false);
  const rest = all.filter((a) => !left.includes(a));
  const less = rest.length < all.length || minutes < q.minutes;
  const submit = async () => {
    setBusy(true);
    try {
      const got = await body(client.POST('/api/v1/requests/{id}/approve', { params: { path: { id: q.id } }, body: { minutes, actions: rest } }));
      toast(got.grant ? `Approved. It ends ${minutesText(got.minutes)} from now.` : `Approved. It still waits for ${missing(got.needs ?? [])}.`);
      onDone();
    } catch (err) {
      fail(asFailure(err));
      setBusy(false);
    }
  };
  const verb = `Approve ${rest.length < all.length ? `${rest.length} of ${all.length} rights ` : ''}for ${minutesText(minutes)}`;
  const toggle = (a: string) => setLeft((old) => (old.includes(a) ? old.filter((x) => x !== a) : [...old, a]));
  return (
    <Dialog
      title={`Approve for ${q.by} on ${q.device}`}
      onClose={onClose}
      onSubmit={submit}
      foot={
        <button class="btn" disabled={busy || !rest.length}>
          {verb}
        </button>
      }
    >
      {failure && <Failed failure={failure} what="Nothing was approved." />}
      <Seg legend="For how long?" value={String(minutes)} options={lengths(q.minutes).map((n) => [String(n), minutesText(n)])} onPick={(v) => setMinutes(+v)} />
      {all.length > 1 && (
        <fieldset class="field">
          <legend>Rights</legend>
          {all.map((a) => (
            <label class="check" key={a}>
              <input type="checkbox" checked={!left.includes(a)} onChange={() => toggle(a)} /> <code>{a}</code>
            </label>
          ))}
        </fieldset>
      )}
      {less && !!q.approvers?.length && <p class="small">This changes the request. Earlier approvers must approve again.</p>}
    </Dialog>
  );
}

function End({ q, verb, onClose, onDone }: { q: Request; verb: 'Deny' | 'Withdraw'; onClose: () => void; onDone: () => void }) {
  const [failure, fail] = useState<Failure | undefined>();
  const [busy, setBusy] = useState(false);
  const path = verb === 'Deny' ? ('/api/v1/requests/{id}/deny' as const) : ('/api/v1/requests/{id}/withdraw' as const);
  const submit = async (e: { currentTarget: HTMLFormElement }) => {
    const reason = String(new FormData(e.currentTarget).get('reason') ?? '').trim();
    setBusy(true);
    try {
      await body(client.POST(path, { params: { path: { id: q.id } }, body: { reason } }));
      toast(verb === 'Deny' ? 'Denied.' : 'Withdrawn.');
      onDone();
    } catch (err) {
      fail(asFailure(err));
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={`${verb} the ${q.grant ? 'grant' : 'request'} for ${q.device}?`}
      onClose={onClose}
      onSubmit={submit}
      foot={
        <button class="btn" disabled={busy}>
          {verb}
        </button>
      }
    >
      {failure && <Failed failure={failure} what="Nothing was changed." />}
      {verb === 'Withdraw' && q.grant && <p>Sessions under it end within a second, unless a rule or another grant allows them.</p>}
      <div class="field">
        <label for="end-reason">Reason</label>
        <input id="end-reason" name="reason" maxLength={500} required={verb === 'Deny'} />
        {!q.mine && <span class="hint">{q.by} reads it.</span>}
      </div>
    </Dialog>
  );
}
