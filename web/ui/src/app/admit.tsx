// Admit a machine: the facts stand before the button, and the key shown is the one that is admitted.
import { useState } from 'preact/hooks';
import { body, client, type Failure } from '../api/client';
import type { Device } from '../api/types';
import { keyDigits, sentence } from '../base/words';
import { asFailure } from '../ui/data';
import { Dialog, Failed, Time } from '../ui/parts';
import { toast } from '../ui/toast';
import { labelText, parseLabels } from './labels';
import '../styles/dialog.css';

export default function Admit({ device: d, onClose, onDone }: { device: Device; onClose: () => void; onDone: () => void }) {
  const [failure, fail] = useState<Failure | undefined>();
  const [busy, setBusy] = useState(false);
  const submit = async (e: { currentTarget: HTMLFormElement }) => {
    const f = new FormData(e.currentTarget);
    const get = (k: string) => String(f.get(k) ?? '').trim();
    setBusy(true);
    try {
      const admitted = await body(
        client.POST('/api/v1/devices/{name}/admit', {
          params: { path: { name: d.name } },
          body: { name: get('name') || undefined, site: get('site') || undefined, labels: parseLabels(get('labels')), fingerprint: d.fingerprint },
        }),
      );
      toast(`${admitted.name} is admitted.`);
      onDone();
    } catch (err) {
      fail(asFailure(err));
      setBusy(false);
    }
  };
  return (
    <Dialog title={`Admit ${d.name}?`} onClose={onClose} onSubmit={submit} foot={<button class="btn primary" disabled={busy}>Admit with this key</button>}>
      {failure && <Failed failure={failure} what="It was not admitted." />}
      <dl class="kv">
        <dt>Key</dt>
        <dd>
          <code>{d.fingerprint ? keyDigits(d.fingerprint) : 'none'}</code>
          <span class="sub">
            <code class="wrap">{d.fingerprint}</code>
          </span>
        </dd>
        <dt>Serial</dt>
        <dd>{d.serial || 'none given'}</dd>
        <dt>Calls itself</dt>
        <dd>
          {d.host_name || 'nothing'}
          {d.os && `, ${d.os}`}
        </dd>
        <dt>Came from</dt>
        <dd>
          <span class="mono">{d.address}</span>
          {d.enrolled_at && (
            <>
              , <Time at={d.enrolled_at} />
            </>
          )}
        </dd>
      </dl>
      {d.problems?.map((p) => (
        <p class="st warn" key={p}>
          {sentence(p)}
        </p>
      ))}
      <p class="hint">Compare the key with the digits the machine shows. Nothing else tells it from another one.</p>
      <div class="field">
        <label for="ad-name">Name</label>
        <input id="ad-name" name="name" defaultValue={d.name} maxLength={63} />
      </div>
      <div class="field">
        <label for="ad-site">Customer and site</label>
        <input id="ad-site" name="site" defaultValue={d.site} maxLength={200} />
      </div>
      <div class="field">
        <label for="ad-labels">Labels</label>
        <input id="ad-labels" name="labels" defaultValue={labelText(d.labels)} />
      </div>
    </Dialog>
  );
}
