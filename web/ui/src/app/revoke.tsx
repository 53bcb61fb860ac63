// Refuse a machine that waits, or revoke one that was admitted. It ends what runs there.
import { useState } from 'preact/hooks';
import { body, client, type Failure } from '../api/client';
import type { Device } from '../api/types';
import { plural } from '../base/words';
import { asFailure } from '../ui/data';
import { Dialog, Failed } from '../ui/parts';
import { toast } from '../ui/toast';
import '../styles/dialog.css';

export default function Revoke({ device: d, onClose, onDone }: { device: Device; onClose: () => void; onDone: () => void }) {
  const [failure, fail] = useState<Failure | undefined>();
  const [busy, setBusy] = useState(false);
  const waiting = d.state === 'waiting';
  const verb = waiting ? 'Refuse' : 'Revoke';
  const submit = async (e: { currentTarget: HTMLFormElement }) => {
    const reason = String(new FormData(e.currentTarget).get('reason') ?? '').trim();
    setBusy(true);
    try {
      await body(client.POST('/api/v1/devices/{name}/revoke', { params: { path: { name: d.name } }, body: { reason } }));
      toast(`${d.name} is ${waiting ? 'refused' : 'revoked'}.`);
      onDone();
    } catch (err) {
      fail(asFailure(err));
      setBusy(false);
    }
  };
  return (
    <Dialog title={`${verb} ${d.name}?`} onClose={onClose} onSubmit={submit} foot={<button class="btn danger" disabled={busy}>{`${verb} ${d.name}`}</button>}>
      {failure && <Failed failure={failure} what="Nothing was changed." />}
      <p>
        {d.live > 0 && <b>{`This ends ${plural(d.live, 'session')} on it now. `}</b>}
        {waiting ? 'Its key is never taken again.' : 'Its line is cut and its key is never taken again.'} To come back it needs a new join code and a new key.
      </p>
      <div class="field">
        <label for="rv-reason">Reason</label>
        <input id="rv-reason" name="reason" maxLength={500} />
        <span class="hint">Goes into the log.</span>
      </div>
    </Dialog>
  );
}
