// Beside the terminal: the record, the right that the session stands on, what was said before it.
import { useState } from 'preact/hooks';
import { body, client } from '../api/client';
import { bytes, count } from '../base/words';
import { clockTime } from '../base/time';
import { useData } from '../ui/data';
import { St } from '../ui/parts';
import { Seg } from '../ui/seg';
import { set, setting } from '../ui/settings';
import { Here } from './here';
import type { Live } from './session';

export function About({ live }: { live: Live }) {
  const known = live.phase === 'live' || live.phase === 'ended' || live.phase === 'lost';
  const s = useData(() => (known && live.id ? body(client.GET('/api/v1/sessions/{id}', { params: { path: { id: live.id } } })) : Promise.resolve(undefined)), [live.id, live.phase], 10_000);
  const part = s.data?.parts[0];
  const [reader, setReader] = useState(setting('reader') === 'on');
  return (
    <aside id="p-about" aria-label="About this session">
      <section class="part gap-s">
        <header>
          <h2>Record</h2>
          {live.phase === 'live' && <St shape="rec">Being recorded</St>}
        </header>
        <dl class="kv small">
          <dt>Session</dt>
          <dd>{live.id ? <code>{live.id.slice(0, 13)}<wbr />{live.id.slice(13)}</code> : 'not yet'}</dd>
          {part?.open_leaf !== undefined && (
            <>
              <dt>In the log as</dt>
              <dd>{count(part.open_leaf)}</dd>
            </>
          )}
          {live.began && (
            <>
              <dt>Began</dt>
              <dd class="mono">{clockTime(live.began)}</dd>
            </>
          )}
          {live.over && (
            <>
              <dt>Ended</dt>
              <dd class="mono">{clockTime(live.over)}</dd>
            </>
          )}
          {s.data && s.data.bytes_in + s.data.bytes_out > 0 && (
            <>
              <dt>Typed, shown</dt>
              <dd>
                {bytes(s.data.bytes_in)}, {bytes(s.data.bytes_out)}
              </dd>
            </>
          )}
        </dl>
      </section>
      <Here live={live} />
      {live.notice.length > 0 && (
        <section class="part gap-s">
          <header>
            <h2>Recorded</h2>
          </header>
          <ul class="stackd gap-s small">
            {live.notice.map((l) => (
              <li key={l}>{l}</li>
            ))}
          </ul>
        </section>
      )}
      <section class="part gap-s">
        <header>
          <h2>Screen reader</h2>
        </header>
        <Seg
          legend="Read what the terminal shows"
          hidden
          value={reader ? 'on' : ''}
          options={[
            ['', 'Off'],
            ['on', 'On'],
          ]}
          onPick={(v) => (set('reader', v), setReader(v === 'on'))}
        />
        <p class="small muted">Takes effect in your next session.</p>
      </section>
    </aside>
  );
}
