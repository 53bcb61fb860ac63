// One change that waits for a second administrator: what would change, who gains what by it, and the confirmation.
import { useState } from 'preact/hooks';
import { body, client, type Failure } from '../api/client';
import type { Proposal } from '../api/types';
import { gainWhere, proposalTitle } from '../base/proposals';
import { plural } from '../base/words';
import { asFailure, useData } from '../ui/data';
import { OfflineBanner, useOnline } from '../ui/online';
import { Dialog, Empty, Failed, Loading, StackTable, Time } from '../ui/parts';
import { useTitle } from '../ui/title';
import { toast } from '../ui/toast';
import type { PageProps } from './inside';
import { go } from './router';
import '../styles/dialog.css';

export default function OneProposal({ me, at, recount }: PageProps) {
  const id = decodeURIComponent(at.pathname.split('/')[2] ?? '');
  const d = useData(() => body(client.GET('/api/v1/proposals/{id}', { params: { path: { id } } })), [id], 5000);
  const p = d.data;
  useTitle(p ? proposalTitle(p) : 'Change');
  const done = (said: string) => {
    toast(said);
    recount();
    go('/requests');
  };
  if (!p) {
    return (
      <main id="main" class="page">
        <OfflineBanner />
        <h1 tabIndex={-1}>Change</h1>
        {!d.failure ? <Loading lines={6} /> : d.failure.status === 404 ? <Gone /> : <Failed failure={d.failure} what="This change could not be read." retry={d.reload} />}
      </main>
    );
  }
  return (
    <main id="main" class="page">
      <OfflineBanner />
      <header class="head">
        <div>
          <h1 tabIndex={-1}>{proposalTitle(p)}</h1>
          <p>It is not in force. It waits for a second administrator, because it gives people more rights.</p>
        </div>
      </header>
      {d.failure && <Failed failure={d.failure} what="This change could not be read again." retry={d.reload} />}
      <Facts p={p} />
      <Gains p={p} />
      <Changes p={p} />
      {me.duties.includes('administer') && <Answer p={p} onDone={done} />}
    </main>
  );
}

const Gone = () => (
  <Empty title="No such change waits for a second administrator.">
    <p>It may have been confirmed or withdrawn, or have expired.</p>
    <a class="btn" href="/requests">
      Back to requests
    </a>
  </Empty>
);

function Facts({ p }: { p: Proposal }) {
  return (
    <section class="part" aria-label="Who proposed it">
      <dl class="kv">
        <dt>Proposed</dt>
        <dd>
          <Time at={p.at} /> by {p.mine ? 'you' : p.by}
        </dd>
        <dt>Reason</dt>
        <dd>{p.reason || <span class="muted">none given</span>}</dd>
        {p.expires && <dt>Expires</dt>}
        {p.expires && (
          <dd>
            <Time at={p.expires} />
          </dd>
        )}
      </dl>
    </section>
  );
}

function Gains({ p }: { p: Proposal }) {
  return (
    <section class="part" aria-labelledby="gains-h" id="gains">
      <header>
        <h2 id="gains-h">Who gains what</h2>
        <span class="small muted">
          {plural(p.count, 'gain')}, {plural(p.people ?? 0, 'known person', 'known people')}, {plural(p.devices, 'machine')}
        </span>
      </header>
      <div class="scroll" tabIndex={0} role="region" aria-label="Gains">
        <StackTable kind="s" caption="Gains">
          <thead>
            <tr>
              <th scope="col">Who</th>
              <th scope="col">What</th>
              <th scope="col">How</th>
              <th scope="col">Where</th>
            </tr>
          </thead>
          <tbody>
            {(p.gains ?? []).map((g) => (
              <tr key={[g.who, g.what, g.how, g.rule].join('\n')}>
                <th scope="row" class="c1 r1">
                  {g.who}
                </th>
                <td class="c1 r2">
                  <code class="wrap">{g.what}</code>
                </td>
                <td class="c2 r1">
                  {g.how}
                  {g.rule && <span class="sub">rule {g.rule}</span>}
                </td>
                <td class="c2 r2">{gainWhere(g)}</td>
              </tr>
            ))}
          </tbody>
        </StackTable>
      </div>
    </section>
  );
}

function Changes({ p }: { p: Proposal }) {
  return (
    <section class="part" aria-labelledby="changes-h" id="changes">
      <header>
        <h2 id="changes-h">What changes</h2>
      </header>
      <dl class="kv">
        {(p.changes ?? []).map((c) => (
          <>
            <dt>{c.what}</dt>
            {c.before && (
              <dd>
                <span class="muted">before:</span> {c.before}
              </dd>
            )}
            {c.after && (
              <dd class={c.before ? 'second' : undefined}>
                <span class="muted">after:</span> {c.after}
              </dd>
            )}
          </>
        ))}
      </dl>
    </section>
  );
}

/** Confirm and Withdraw have the same weight. */
function Answer({ p, onDone }: { p: Proposal; onDone: (said: string) => void }) {
  const online = useOnline();
  const [ask, open] = useState<'Confirm' | 'Withdraw' | undefined>();
  return (
    <>
      {p.mine && <p class="muted">You proposed this change, so another administrator has to confirm it.</p>}
      <div class="btns">
        {!p.mine && (
          <button class="btn" type="button" disabled={!online} onClick={() => open('Confirm')}>
            Confirm…
          </button>
        )}
        <button class="btn" type="button" disabled={!online} onClick={() => open('Withdraw')}>
          Withdraw…
        </button>
        {ask && <Sure p={p} verb={ask} onClose={() => open(undefined)} onDone={onDone} />}
      </div>
    </>
  );
}

function Sure({ p, verb, onClose, onDone }: { p: Proposal; verb: 'Confirm' | 'Withdraw'; onClose: () => void; onDone: (said: string) => void }) {
  const [failure, fail] = useState<Failure | undefined>();
  const [busy, setBusy] = useState(false);
  const submit = async (e: { currentTarget: HTMLFormElement }) => {
    const params = { path: { id: p.id } };
    const reason = String(new FormData(e.currentTarget).get('reason') ?? '').trim();
    setBusy(true);
    try {
      if (verb === 'Confirm') await body(client.POST('/api/v1/proposals/{id}/confirm', { params, body: { entry: p.entry } }));
      else await body(client.POST('/api/v1/proposals/{id}/withdraw', { params, body: { reason } }));
      onDone(verb === 'Confirm' ? 'Confirmed. The change is in force.' : 'Withdrawn. Nothing has changed.');
    } catch (err) {
      fail(asFailure(err));
      setBusy(false);
    }
  };
  return (
    <Dialog title={`${verb} this change?`} onClose={onClose} onSubmit={submit} foot={<button class="btn" disabled={busy}>{verb}</button>}>
      {failure && <Failed failure={failure} what="Nothing was changed." />}
      {verb === 'Confirm' ? (
        <p>The change takes effect at once. The log names {p.by} as proposer and you as confirmer.</p>
      ) : (
        <div class="field">
          <label for="pw-reason">Reason</label>
          <input id="pw-reason" name="reason" maxLength={500} />
        </div>
      )}
    </Dialog>
  );
}
