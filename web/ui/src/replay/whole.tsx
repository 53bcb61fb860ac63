// "Is this record whole?": first in words, then check by check. Nothing is claimed before it has run.
import { useState } from 'preact/hooks';
import { body, client, type Failure } from '../api/client';
import type { SessionDetail, Verdict } from '../api/types';
import { asked, checkShape } from '../base/checks';
import type { Shape } from '../base/session';
import { clockTime } from '../base/time';
import { asFailure } from '../ui/data';
import { offlineReason, useOnline } from '../ui/online';
import { Failed, St, useLate } from '../ui/parts';

export function Whole({ s }: { s: SessionDetail }) {
  const online = useOnline();
  const [busy, setBusy] = useState(false);
  const [v, set] = useState<{ verdict: Verdict; at: Date } | undefined>();
  const [failure, fail] = useState<Failure | undefined>();
  const check = async () => {
    setBusy(true);
    fail(undefined);
    try {
      set({ verdict: await body(client.POST('/api/v1/sessions/{id}/verify', { params: { path: { id: s.id } } })), at: new Date() });
    } catch (e) {
      fail(asFailure(e));
    }
    setBusy(false);
  };
  return (
    <section class="part gap-s" aria-labelledby="whole" id="verify">
      <header>
        <h2 id="whole">Is this record whole?</h2>
        {v && <St shape={shape(v.verdict)}>{v.verdict.summary}</St>}
      </header>
      {failure && <Failed failure={failure} what="It could not be checked." retry={check} />}
      {busy && <Checking />}
      {v && (
        <ul class="lines tight" id="checks">
          {v.verdict.checks.map((c) => (
            <li class="row" key={c.level + c.name + c.text}>
              <span>
                {asked(c)}
                {(c.file || c.offset !== undefined) && <span class="sub mono">{[c.file, c.offset !== undefined && `at byte ${c.offset}`].filter(Boolean).join(' ')}</span>}
              </span>
              <St shape={checkShape(c)}>{c.text}</St>
            </li>
          ))}
        </ul>
      )}
      {!busy && (
        <div class="row">
          <p class="small muted">
            {v ? `Checked here at ${clockTime(v.at)}.` : 'Reads every byte of it, its signatures and its place in the log.'} Outsiders use <code>sallyport-verify</code>.
          </p>
          <button class={v ? 'btn' : 'btn primary'} type="button" id="check" disabled={!online} onClick={check}>
            {v ? 'Check again' : 'Check it'}
          </button>
        </div>
      )}
      {!online && <p class="small muted">Checking {offlineReason}.</p>}
    </section>
  );
}

const shape = (v: Verdict): Shape => (v.not_yet ? 'wait' : !v.ok ? 'bad' : /gap|cut/i.test(v.summary) ? 'warn' : 'ok');

function Checking() {
  const late = useLate(300);
  if (!late) return null;
  return (
    <div class="stackd gap-s" role="status">
      <progress aria-label="Checking the record" />
      <span class="small">Reading the record and its place in the log.</span>
    </div>
  );
}
