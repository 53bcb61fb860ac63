// Find a machine: names, sites and labels of what is visible to the asker.
import { useEffect, useRef, useState } from 'preact/hooks';
import { body, client } from '../api/client';
import { deviceShown } from '../base/session';
import { sinceText } from '../base/time';
import { matches } from '../base/words';
import { now } from './clock';
import { useData } from './data';
import { Dialog, Failed, Shows } from './parts';
import '../styles/dialog.css';

export default function FindDialog({ onClose, go }: { onClose: () => void; go: (href: string) => void }) {
  const [text, set] = useState('');
  const [at, move] = useState(0);
  const box = useRef<HTMLInputElement>(null);
  const list = useData(() => body(client.GET('/api/v1/devices')), []);
  useEffect(() => box.current?.focus(), []);
  const found = (list.data ?? []).filter((d) => matches(text, d.name, d.site, ...Object.entries(d.labels).map(([k, v]) => `${k}=${v}`))).slice(0, 8);
  const open = (name: string) => {
    onClose();
    go('/machines/' + encodeURIComponent(name));
  };
  const keys = (e: KeyboardEvent) => {
    if (e.key === 'ArrowDown') move(Math.min(at + 1, found.length - 1));
    else if (e.key === 'ArrowUp') move(Math.max(at - 1, 0));
    else return;
    e.preventDefault();
  };
  return (
    <Dialog title="Find a machine" onClose={onClose} onSubmit={() => found[at] && open(found[at].name)}>
      <div class="field">
        <label class="vh" for="find">
          Name, customer or label
        </label>
        <input id="find" ref={box} type="search" autocomplete="off" placeholder="Name, customer or label" value={text} onInput={(e) => (set(e.currentTarget.value), move(0))} onKeyDown={keys} />
      </div>
      {list.failure && <Failed failure={list.failure} what="Machines could not be read." retry={list.reload} />}
      <ul class="lines tight found" aria-label="Machines found">
        {found.map((d, i) => (
          <li class={i === at ? 'row at' : 'row'} key={d.name}>
            <span>
              <a href={'/machines/' + encodeURIComponent(d.name)} onClick={(e) => (e.preventDefault(), open(d.name))}>
                {d.name}
              </a>
              <span class="sub">{d.site || 'no site'}</span>
            </span>
            <Shows of={deviceShown(d, (t) => sinceText(new Date(t), now()))} small />
          </li>
        ))}
      </ul>
      {list.data && !found.length && <p class="muted">No machine of this name is visible to you.</p>}
    </Dialog>
  );
}
