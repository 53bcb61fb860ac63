// Ask for a right on a machine: what for, how long, and which of the rights that the rule gives.
import { useState } from 'preact/hooks';
import { body, client, type Failure } from '../api/client';
import type { Right } from '../api/types';
import { lengths, minutesText, missing } from '../base/requests';
import { upper } from '../base/words';
import { asFailure } from '../ui/data';
import { Dialog, Failed } from '../ui/parts';
import { Seg } from '../ui/seg';
import { toast } from '../ui/toast';
import { go } from './router';
import '../styles/dialog.css';

export default function Ask({ name, rights, onClose }: { name: string; rights: Right[]; onClose: () => void }) {
  const first = rights[0]!;
  const most = first.ask_minutes!;
  const [minutes, setMinutes] = useState(Math.min(30, most));
  const [left, setLeft] = useState<string[]>([]); // actions that are not asked for
  const [failure, fail] = useState<Failure | undefined>();
  const [busy, setBusy] = useState(false);
  const needs = (first.agree ?? []).map((n) => ({ ...n, have: 0 }));
  const wants = first.ask_for ?? [];
  const submit = async (e: { currentTarget: HTMLFormElement }) => {
    const f = new FormData(e.currentTarget);
    const get = (k: string) => String(f.get(k) ?? '').trim();
    const actions = rights.map((r) => r.action).filter((a) => !left.includes(a));
    setBusy(true);
    try {
      const q = await body(client.POST('/api/v1/requests', { body: { device: name, rule: first.rule, emergency: first.emergency, actions, minutes, reason: get('reason'), ticket: get('ticket') } }));
      toast(q.state === 'pending' ? `Sent. It waits for ${missing(q.needs ?? [])}.` : 'Granted.');
      go(`/requests/${q.id}`);
    } catch (err) {
      fail(asFailure(err));
      setBusy(false);
    }
  };
  const toggle = (action: string) => setLeft((old) => (old.includes(action) ? old.filter((a) => a !== action) : [...old, action]));
  return (
    <Dialog
      sheet
      title={first.emergency ? `Emergency access to ${name}` : `Request access to ${name}`}
      onClose={onClose}
      onSubmit={submit}
      foot={
        <button class="btn primary" disabled={busy || left.length === rights.length}>
          {first.emergency ? 'Use emergency access' : 'Send request'}
        </button>
      }
    >
      {failure && <Failed failure={failure} what="Nothing was sent." />}
      {first.emergency && (
        <p id="loud">
          <b>Only for emergencies.</b> {needs.length ? 'You get access after the approval.' : 'You get access at once.'} The gateway notifies the people whom rule {first.rule} names, and an officer must review what you did.
        </p>
      )}
      <div class="field">
        <label for="ask-reason">What will you do there?</label>
        <span class="hint" id="ask-reason-hint">
          {first.emergency ? 'The people who are notified read this.' : 'The approver reads this.'} It stays in the record.
        </span>
        <textarea id="ask-reason" name="reason" rows={2} maxLength={500} required={wants.includes('reason')} aria-describedby="ask-reason-hint" />
      </div>
      <div class="field">
        <label for="ask-ticket">Ticket{wants.includes('ticket') ? '' : ', if there is one'}</label>
        <input id="ask-ticket" name="ticket" maxLength={64} required={wants.includes('ticket')} />
      </div>
      <Seg legend="For how long?" value={String(minutes)} options={lengths(most).map((n) => [String(n), minutesText(n)])} onPick={(v) => setMinutes(+v)} />
      <fieldset class="field">
        <legend>Rights you request</legend>
        {rights.map((r) => (
          <label class="check" key={r.action}>
            <input type="checkbox" checked={!left.includes(r.action)} onChange={() => toggle(r.action)} /> {upper(r.text)}
          </label>
        ))}
        <span class="hint">Leave out what you do not need. {needs.length ? 'The time starts with the last approval.' : 'The time starts at once.'}</span>
      </fieldset>
      <p class="small muted">{needs.length ? `Needs approval by ${missing(needs)} (rule ${first.rule}).` : `Needs no approval (rule ${first.rule}).`}</p>
    </Dialog>
  );
}
