// What is looked for in the output of one channel is looked for in the others too, one after the other.
import { useEffect, useRef, useState } from 'preact/hooks';
import { text, type Failure } from '../api/client';
import type { SessionDetail, Timeline } from '../api/types';
import { address, channelsOf } from '../base/channels';
import { found } from '../base/found';
import { count } from '../base/words';
import { asFailure } from '../ui/data';
import { Failed } from '../ui/parts';

interface Hit {
  ch: number;
  n: number;
}

export function Elsewhere({ s, t, ch, find, onChoose }: { s: SessionDetail; t: Timeline; ch: number; find: string; onChoose: (ch: number) => void }) {
  const [hits, set] = useState<Hit[]>([]);
  const [looking, look] = useState(true);
  const [failure, fail] = useState<Failure | undefined>();
  const [round, again] = useState(0);
  const read = useRef(new Map<number, Promise<string>>());
  const others = channelsOf(t).filter((c) => c.ch !== ch);
  useEffect(() => {
    let mine = true;
    const all = async () => {
      for (const c of others) {
        const n = found(await output(read.current, s.id, c.ch), find);
        if (!mine) return;
        if (n) set((old) => [...old, { ch: c.ch, n }]);
      }
    };
    set([]);
    fail(undefined);
    look(true);
    all()
      .catch((e) => mine && fail(asFailure(e)))
      .finally(() => mine && look(false));
    return () => void (mine = false);
  }, [s.id, t, ch, find, round]);
  const go = (to: number) => {
    document.getElementById('ts')?.focus(); // the button goes away
    onChoose(to);
  };
  return (
    <div class="elsewhere" role="status">
      {hits.map((h) => (
        <button class="btn" type="button" key={h.ch} onClick={() => go(h.ch)}>
          {count(h.n)} in channel {h.ch}
        </button>
      ))}
      {looking ? <span class="muted">Looking in the other channels…</span> : !hits.length && !failure && <span class="muted">None in the other channels.</span>}
      {failure && <Failed failure={failure} what="The output of another channel could not be read." retry={() => again(round + 1)} />}
    </div>
  );
}

/** The output of a channel, which is read once. */
function output(read: Map<number, Promise<string>>, id: string, ch: number): Promise<string> {
  const known = read.get(ch);
  if (known) return known;
  const asked = text(address(`/api/v1/sessions/${id}/transcript`, { channel: ch }));
  read.set(ch, asked);
  asked.catch(() => read.delete(ch));
  return asked;
}
