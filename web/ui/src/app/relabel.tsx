// Labels decide who reaches a machine: changing them changes rights at once, also of sessions that run.
import { useState } from 'preact/hooks';
import { body, client, type Failure } from '../api/client';
import type { Device } from '../api/types';
import { asFailure } from '../ui/data';
import { Dialog, Failed } from '../ui/parts';
import { toast } from '../ui/toast';
import { waitsForAnother } from '../base/proposals';
import { labelChange, labelText, parseLabels } from './labels';
import '../styles/dialog.css';

export default function Relabel({ device: d, onClose, onDone }: { device: Device; onClose: () => void; onDone: () => void }) {
  const [failure, fail] = useState<Failure | undefined>();
  const [busy, setBusy] = useState(false);
  const submit = async (e: { currentTarget: HTMLFormElement }) => {
    setBusy(true);
    try {
      const after = parseLabels(String(new FormData(e.currentTarget).get('labels') ?? ''));
      await body(client.POST('/api/v1/devices/{name}/labels', { params: { path: { name: d.name } }, body: { labels: labelChange(d.labels, after) } }));
      toast(`Labels of ${d.name} are set.`);
      onDone();
    } catch (err) {
      const failed = asFailure(err);
      if (waitsForAnother(failed.problem)) {
        toast('The labels wait for another administrator, because they give people more rights. See Requests.');
        onClose();
        return;
      }
      fail(failed);
      setBusy(false);
    }
  };
  return (
    <Dialog title={`Labels of ${d.name}`} onClose={onClose} onSubmit={submit} foot={<button class="btn primary" disabled={busy}>Set labels</button>}>
      {failure && <Failed failure={failure} what="Nothing was changed." />}
      <div class="field">
        <label for="rl-labels">Labels</label>
        <input id="rl-labels" name="labels" defaultValue={labelText(d.labels)} />
        <span class="hint">name=value, with spaces between. Labels that give people more rights wait for a second administrator.</span>
      </div>
    </Dialog>
  );
}
