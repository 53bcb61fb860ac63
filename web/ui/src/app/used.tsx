// What was done under a grant: its sessions, and the time in them beside the time that was granted.
import { body, client } from '../api/client';
import type { Request } from '../api/types';
import { lengthText } from '../base/time';
import { plural } from '../base/words';
import { useData } from '../ui/data';
import { Failed, Time } from '../ui/parts';

export function Used({ q }: { q: Request }) {
  const grant = useData(() => body(client.GET('/api/v1/grants/{id}', { params: { path: { id: q.id } } })), [q.id], 5000);
  const used = grant.data?.used;
  return (
    <section class="part" aria-labelledby="used-h" id="used">
      <header>
        <h2 id="used-h">Used</h2>
        {used && (
          <span class="small muted">
            {plural(used.total, 'session')}, {lengthText(used.seconds * 1000)} in total; granted for {lengthText(q.minutes * 60_000)}
          </span>
        )}
      </header>
      {grant.failure && <Failed failure={grant.failure} what="Its sessions could not be read." retry={grant.reload} />}
      {used && !used.sessions?.length && <p class="muted">{used.total ? 'You cannot see its sessions.' : 'No session was opened under this grant.'}</p>}
      {!!used?.sessions?.length && (
        <ul class="lines">
          {used.sessions.map((s) => (
            <li class="row" key={s.id}>
              <a href={`/sessions/${s.id}`}>
                <code>{s.action}</code>
              </a>
              <span class="small muted">
                <Time at={s.asked} /> {s.ended ? '' : 'running'}
              </span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
