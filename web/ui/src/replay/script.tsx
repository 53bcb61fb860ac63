// The transcript: what happened in order, and the output as text. The player's accessible twin.
import { useEffect, useRef, useState } from 'preact/hooks';
import { text } from '../api/client';
import type { SessionDetail, Timeline } from '../api/types';
import { address, channelQuery, several } from '../base/channels';
import { split } from '../base/found';
import type { Row } from '../base/script';
import { clockTime } from '../base/time';
import { count, upper } from '../base/words';
import { useData } from '../ui/data';
import { Failed, Loading, St } from '../ui/parts';
import { Elsewhere } from './elsewhere';
import '../styles/tabs.css';

interface Shown {
  s: SessionDetail;
  t: Timeline;
  ch: number;
  rows: Row[];
  current: number;
  onSeek: (to: number, ch?: number) => void;
  onChoose: (ch: number) => void;
}

export function Script({ s, t, ch, rows, current, onSeek, onChoose }: Shown) {
  const [tab, show] = useState<'rows' | 'output'>('rows');
  const [find, setFind] = useState('');
  const turn = (e: KeyboardEvent) => {
    if (!e.key.startsWith('Arrow')) return;
    e.preventDefault();
    show(tab === 'rows' ? 'output' : 'rows');
    document.getElementById(tab === 'rows' ? 't-output' : 't-rows')?.focus();
  };
  const button = (id: 'rows' | 'output', words: string) => (
    <button role="tab" type="button" id={'t-' + id} aria-selected={tab === id} aria-controls={'p-' + id} tabIndex={tab === id ? 0 : -1} onClick={() => show(id)} onKeyDown={turn}>
      {words}
    </button>
  );
  return (
    <aside class="part gap-s" aria-label="Transcript">
      <div class="tabs" role="tablist" aria-label="Side list">
        {button('rows', 'Transcript')}
        {button('output', 'Output as text')}
      </div>
      <div class="field">
        <label class="vh" for="ts">
          Find in this session
        </label>
        <input id="ts" type="search" placeholder="Find in this session" value={find} onInput={(e) => setFind(e.currentTarget.value)} />
      </div>
      {tab === 'rows' ? <Rows rows={rows} t={t} find={find} current={current} onSeek={onSeek} /> : <Output s={s} t={t} ch={ch} find={find} onChoose={onChoose} />}
      <p class="xs muted">{tab === 'rows' ? `Typed lines as they were typed; keys at hidden prompts are sealed. ${t.commands.length ? 'Right: exit status.' : 'Commands were not captured here.'}` : `${several(t) ? `Of channel ${ch}, without` : 'Without'} control characters; nothing is added.`}</p>
    </aside>
  );
}

function Rows({ rows, t, find, current, onSeek }: { rows: Row[]; t: Timeline; find: string; current: number; onSeek: Shown['onSeek'] }) {
  const list = useRef<HTMLDivElement>(null);
  const began = +new Date(t.started);
  useEffect(() => {
    const el = list.current?.querySelector<HTMLElement>('[aria-current]');
    if (el && list.current) list.current.scrollTop = Math.max(0, el.offsetTop - list.current.offsetTop - list.current.clientHeight / 2);
  }, [current]);
  const shown = rows.map((r, i) => ({ r, i })).filter(({ r }) => r.text.toLowerCase().includes(find.toLowerCase()));
  if (!shown.length) return <p class="muted small">Nothing of this text was typed or run.</p>;
  return (
    <div class="scripts" id="p-rows" role="tabpanel" aria-labelledby="t-rows" tabIndex={0} ref={list}>
      <ol class="script" aria-label="What happened, in order">
        {shown.map(({ r, i }) => (
          <li aria-current={i === current ? 'true' : undefined} onClick={() => onSeek(r.at, r.ch)} key={i}>
            <button type="button" title="Go there in the player">
              <time>{clockTime(new Date(began + r.at * 1000))}</time>
            </button>
            <span>
              {r.ch && <span class="chip">channel {r.ch}</span>}
              <What r={r} />
            </span>
            <Right r={r} />
          </li>
        ))}
      </ol>
    </div>
  );
}

function What({ r }: { r: Row }) {
  if (r.kind === 'typed' || r.kind === 'command') return <code>{r.text}</code>;
  return <span class={r.kind === 'refused' || r.kind === 'differs' || r.kind === 'sealed' ? undefined : 'n'}>{upper(r.text)}</span>;
}

function Right({ r }: { r: Row }) {
  switch (r.kind) {
    case 'typed':
      return <span class="muted xs">typed</span>;
    case 'sealed':
      return (
        <St shape="sealed" small>
          {r.right}
        </St>
      );
    case 'refused':
      return (
        <St shape="bad" small>
          refused
        </St>
      );
    case 'differs':
      return (
        <St shape="warn" small>
          differs
        </St>
      );
    case 'gap':
      return (
        <St shape="warn" small>
          gap
        </St>
      );
    case 'command':
      return r.bad ? (
        <St shape="bad" small>
          {r.right}
        </St>
      ) : (
        <span class="muted">{r.right}</span>
      );
  }
  return <span />;
}

function Output({ s, t, ch, find, onChoose }: { s: SessionDetail; t: Timeline; ch: number; find: string; onChoose: (ch: number) => void }) {
  const shown = useData(() => text(address(`/api/v1/sessions/${s.id}/transcript`, channelQuery(t, ch))), [s.id, ch]);
  if (shown.failure) return <Failed failure={shown.failure} what="The output could not be read." retry={shown.reload} />;
  if (shown.data === undefined) return <Loading lines={8} />;
  const pieces = find ? split(shown.data, find) : [shown.data];
  return (
    <>
      <div class="scripts" id="p-output" role="tabpanel" aria-labelledby="t-output" tabIndex={0}>
        <pre class="output">{pieces.map((p, i) => (i % 2 ? <mark key={i}>{p}</mark> : p))}</pre>
      </div>
      {find && (
        <p class="xs muted">
          {count((pieces.length - 1) / 2)} found{several(t) && ` in channel ${ch}`}.
        </p>
      )}
      {find && several(t) && <Elsewhere s={s} t={t} ch={ch} find={find} onChoose={onChoose} />}
    </>
  );
}
