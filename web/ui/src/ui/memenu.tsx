// Who is signed in, what they set for this browser, and the way out.
import { useState } from 'preact/hooks';
import type { Me } from '../api/types';
import { Dialog, Time } from './parts';
import { Seg } from './seg';
import { set, setting } from './settings';
import { toast } from './toast';
import '../styles/dialog.css';

export default function MeMenu({ me, onClose, onKeys }: { me: Me; onClose: () => void; onKeys: () => void }) {
  const [theme, setTheme] = useState(setting('theme'));
  const [density, setDensity] = useState(setting('density'));
  const out = async () => {
    try {
      const r = await fetch('/logout', { method: 'POST', headers: { Accept: 'application/json' } });
      if (!r.ok) throw new Error();
      location.assign(((await r.json()) as { redirect: string }).redirect);
    } catch {
      toast('You are still signed in: the gateway did not sign you out.');
      onClose();
    }
  };
  return (
    <Dialog title={me.name} onClose={onClose} foot={<button class="btn" type="button" id="signout" onClick={out}>Sign out</button>}>
      <dl class="kv">
        <dt>Signed in with</dt>
        <dd>
          {me.provider}
          {me.signed_in_at && (
            <>
              , <Time at={me.signed_in_at} />
            </>
          )}
        </dd>
        <dt>Good until</dt>
        <dd>
          <Time at={me.expires} />
          {me.no_refresh && <>. It is short because {me.provider} gave no refresh token. Sign in again when it ends.</>}
        </dd>
        <dt>Groups</dt>
        <dd>{me.groups.length ? me.groups.join(', ') : 'none, so no machine is open to you'}</dd>
        {me.duties.length > 0 && (
          <>
            <dt>Duties</dt>
            <dd>{me.duties.join(', ')}</dd>
          </>
        )}
      </dl>
      <Seg legend="Colours" value={theme} options={[['', 'As the system'], ['light', 'Light'], ['dark', 'Dark']]} onPick={(v) => (set('theme', v), setTheme(v))} />
      <Seg legend="Rows" value={density} options={[['', 'Normal'], ['compact', 'Compact']]} onPick={(v) => (set('density', v), setDensity(v))} />
      <p class="small muted">
        Signing out also ends your sessions on machines.{' '}
        <a href="#keys" onClick={(e) => (e.preventDefault(), onKeys())}>
          Keys
        </a>
      </p>
    </Dialog>
  );
}
