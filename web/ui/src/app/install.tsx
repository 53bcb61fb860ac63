// The line to paste on a machine, and the codes that are good.
import { body, client } from '../api/client';
import type { EnrollToken } from '../api/types';
import { lengthText } from '../base/time';
import { plural } from '../base/words';
import { now } from '../ui/clock';
import { asFailure, type Data } from '../ui/data';
import { Copy, Empty, Failed } from '../ui/parts';
import { useStore } from '../ui/store';
import { toast } from '../ui/toast';
import { made } from './made';

export function Install({ tokens, onNew }: { tokens: Data<EnrollToken[]>; onNew: () => void }) {
  const last = useStore(made);
  const good = (tokens.data ?? []).filter((t) => !t.revoked && t.uses_left > 0 && +new Date(t.expires) > +now());
  const still = last && good.find((t) => t.id === last.id);
  const withdraw = async (id: string) => {
    try {
      await body(client.DELETE('/api/v1/enroll-tokens/{id}', { params: { path: { id } } }));
      toast('The code is withdrawn.');
      tokens.reload();
    } catch (e) {
      toast(`The code is still good: ${asFailure(e).message}.`);
    }
  };
  return (
    <section class="part" aria-labelledby="install">
      <header>
        <h2 id="install">Install on a machine</h2>
        {last && still && <span class="small muted">{`code${last.site ? ` for ${last.site}` : ''}, ${still.uses_left} of ${plural(still.uses, 'use')} left`}</span>}
      </header>
      {last?.command && still ? (
        <>
          <Copy text={last.command} label="the enroll line" />
          <ol class="steps small">
            <li>Needs Linux and one way out: to {location.host}.</li>
            <li>The machine makes its own key and shows its first digits.</li>
            <li>It waits here until you admit it. Without a site and the labels your rules ask for, nobody can reach it.</li>
          </ol>
          <p class="small muted">Ends in {lengthText(+new Date(last.expires) - +now())}. The code is shown this once.</p>
        </>
      ) : (
        <Empty title="A join code gives you the line to paste.">
          <p>It names the customer and the labels of the machine. You choose how many machines may use it and for how long.</p>
          <button class="btn" type="button" onClick={onNew}>
            New join code…
          </button>
        </Empty>
      )}
      {tokens.failure && <Failed failure={tokens.failure} what="Join codes could not be read." retry={tokens.reload} />}
      {good.length > 0 && (
        <ul class="lines tight small" aria-label="Codes that are good">
          {good.map((t) => (
            <li class="row" key={t.id}>
              <span>
                {t.name || t.site || 'any name'}
                <span class="sub">
                  by {t.created_by}, {t.uses_left} of {plural(t.uses, 'use')} left, ends in {lengthText(+new Date(t.expires) - +now())}
                </span>
              </span>
              <button class="btn quiet" type="button" onClick={() => withdraw(t.id)} aria-label={`Withdraw the code for ${t.name || t.site || 'any name'}`}>
                Withdraw
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
