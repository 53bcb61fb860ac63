// Join codes: what is pasted on a machine to enrol it. A code is shown once, when it is made.
import { useState } from 'preact/hooks';
import { body, client, type Failure } from '../api/client';
import type { Device } from '../api/types';
import { asFailure } from '../ui/data';
import { Dialog, Failed } from '../ui/parts';
import { toast } from '../ui/toast';
import { parseLabels } from './labels';
import { made } from './made';
import '../styles/dialog.css';

const ttls: [number, string][] = [
  [3600, '1 hour'],
  [8 * 3600, '8 hours'],
  [24 * 3600, '1 day'],
  [7 * 24 * 3600, '7 days'],
];

export default function JoinCode({ devices, onClose, onMade }: { devices: Device[]; onClose: () => void; onMade: () => void }) {
  const [failure, fail] = useState<Failure | undefined>();
  const [busy, setBusy] = useState(false);
  const sites = [...new Set(devices.map((d) => d.site).filter(Boolean))].sort();
  const submit = async (e: { currentTarget: HTMLFormElement }) => {
    const f = new FormData(e.currentTarget);
    const get = (k: string) => String(f.get(k) ?? '').trim();
    setBusy(true);
    try {
      const labels = parseLabels(get('labels'));
      const token = await body(
        client.POST('/api/v1/enroll-tokens', {
          body: { name: get('name') || undefined, site: get('site') || undefined, labels, uses: Number(get('uses')) || 1, ttl_seconds: Number(get('ttl')), expect_serial: get('serial') || undefined },
        }),
      );
      made.set(token);
      toast('Join code made. Its line stands under “Install on a machine”.');
      onMade();
      onClose();
    } catch (err) {
      fail(asFailure(err));
      setBusy(false);
    }
  };
  return (
    <Dialog title="New join code" onClose={onClose} onSubmit={submit} sheet foot={<button class="btn primary" disabled={busy}>Make the code</button>}>
      {failure && <Failed failure={failure} what="No code was made." />}
      <div class="field">
        <label for="jc-site">Customer and site</label>
        <input id="jc-site" name="site" list="sites" maxLength={200} />
        <datalist id="sites">
          {sites.map((s) => (
            <option value={s} key={s} />
          ))}
        </datalist>
        <span class="hint">Decides who owns the machine and whose sessions the owner sees.</span>
      </div>
      <div class="field">
        <label for="jc-name">Name of the machine</label>
        <input id="jc-name" name="name" maxLength={63} pattern="[a-z0-9]([a-z0-9-]*[a-z0-9])?" placeholder="its own host name" />
      </div>
      <div class="field">
        <label for="jc-labels">Labels</label>
        <input id="jc-labels" name="labels" placeholder="kind=press maker=nord" />
        <span class="hint">Rules of the policy pick machines by these. name=value, with spaces between.</span>
      </div>
      <div class="two">
        <div class="field">
          <label for="jc-uses">Machines it is good for</label>
          <input id="jc-uses" name="uses" type="number" min={1} max={1000} defaultValue="1" />
        </div>
        <div class="field">
          <label for="jc-ttl">Good for</label>
          <select id="jc-ttl" name="ttl">
            {ttls.map(([s, text]) => (
              <option value={s} key={s}>
                {text}
              </option>
            ))}
          </select>
        </div>
      </div>
      <div class="field">
        <label for="jc-serial">Expected serial number</label>
        <input id="jc-serial" name="serial" maxLength={100} />
        <span class="hint">A machine that reports another one is refused.</span>
      </div>
    </Dialog>
  );
}
